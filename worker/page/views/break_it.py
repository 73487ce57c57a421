"""Break it: the demo's parts fail by a button, beside a counter that compares inputs and answers."""

from __future__ import annotations

import time
from typing import Final

from nicegui import ui

from worker.errors import SentimentError
from worker.page.context import PageContext
from worker.page.views.layout import Frame, block, heading
from worker.page.views.markup import escape, health, items

_BUTTONS: Final = (
    ("kill_worker", "Kill the worker (kill -9)"),
    ("pause_worker", "Pause the worker"),
    ("empty_redis", "Empty Redis"),
    ("restart_broker", "Restart the broker"),
)
_MAX_LINES: Final = 10


def break_view(context: PageContext, frame: Frame) -> None:
    """Build the view. Needs a demo."""
    counter = block()
    heading("Break a part")
    block(
        '<p class="quiet">Press a button and watch the counter. It compares the offset of each input record with the '
        "events and dead letters that answer it: none may be lost, and none answered twice.</p>"
    )
    log: list[str] = []
    buttons: list[ui.button] = []

    async def break_one(action: str, name: str) -> None:
        if context.demo is None:
            return
        for button in buttons:
            button.disable()
        log.insert(0, f"{name}: under way")
        try:
            log[0] = await context.demo.ask(action)
        except SentimentError as error:
            log[0] = str(error)
        for button in buttons:
            button.enable()
        done.set_content(items((f"<li>{escape(line)}</li>" for line in log[:_MAX_LINES]), ""))

    with ui.element("div").classes("buttons"):
        for action, name in _BUTTONS:
            button = ui.button(name, on_click=lambda action=action, name=name: break_one(action, name), color=None)
            buttons.append(button.props("flat no-caps"))
    done = block().props("aria-live=polite")
    heading("Health of the parts")
    parts = block()

    def update() -> None:
        counter.set_content(_counter(context))
        done.set_content(
            items((f"<li>{escape(line)}</li>" for line in log[:_MAX_LINES]), "Nothing has been broken yet.")
        )
        parts.set_content(health(context.reader.parts()))

    frame.every_second(update)


def _counter(context: PageContext) -> str:
    if context.live.audit is None:
        return ""
    balance = context.live.audit.balance(time.time())
    figures = (
        ("inputs", balance.inputs, ""),
        ("answered", balance.answered, ""),
        ("waiting", balance.waiting, ""),
        ("lost", balance.lost, "bad" if balance.lost else "good"),
        ("twice", balance.twice, "bad" if balance.twice else "good"),
    )
    shown = (
        f'<div><dt>{name}</dt><dd class="{kind}" data-figure="{name}">{number}</dd></div>'
        for name, number, kind in figures
    )
    return f'<dl class="figures">{"".join(shown)}</dl>'
