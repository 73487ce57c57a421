"""Dead letters: what could not be scored and why, a preview, and the redrive."""

from __future__ import annotations

from collections import deque
from typing import Final

from nicegui import ui

from worker.errors import Reason, SentimentError
from worker.page.context import PageContext
from worker.page.views.layout import Frame, block, heading
from worker.page.views.markup import definitions, escape, long_cell, table
from worker.tools.deadletters import DeadLetter, list_deadletters
from worker.tools.redrive import redrive

_MAX_ROWS: Final = 25


def dead_letters_view(context: PageContext, frame: Frame) -> None:
    """Build the view."""
    reasons = block()
    heading("Latest dead letters")
    rows = block("<p>Reading the topic of the dead letters.</p>")
    heading("Redrive")
    block('<p class="quiet">Sends the original records of pending dead letters back, each exactly once.</p>')
    reason = ui.select({"": "every reason"} | {one.value: one.value for one in Reason}, value="", label="Reason")
    answer = block().props("role=status")

    async def look() -> None:
        try:
            letters = deque([letter async for letter in list_deadletters(context.settings)], maxlen=_MAX_ROWS)
        except SentimentError as error:
            rows.set_content(f"<p>{escape(error)}</p>")
            return
        head = ("Reason", "Status", "From", "Preview", "Error")
        shown = [_row(letter, context) for letter in reversed(letters)]
        rows.set_content(table(f"Up to {_MAX_ROWS}, the newest first", head, shown) if shown else "<p>None yet.</p>")

    async def send(*, dry_run: bool) -> None:
        chosen = [Reason(reason.value)] if reason.value else []
        try:
            summary = await redrive(context.settings, chosen, dry_run=dry_run)
        except SentimentError as error:
            answer.set_content(f"<p>{escape(error)}</p>")
            return
        done = "would be sent back" if dry_run else "were sent back"
        answer.set_content(f"<p>{summary.num_redriven} records {done}.</p>")
        await look()

    async def preview() -> None:
        await send(dry_run=True)

    async def really() -> None:
        await send(dry_run=False)

    with ui.element("div").classes("buttons"):
        ui.button("Count (dry run)", on_click=preview, color=None).props("flat no-caps")
        ui.button("Redrive", on_click=really, color=None).props("flat no-caps")
        ui.button("Read the list again", on_click=look, color=None).props("flat no-caps")
    ui.timer(0.0, look, once=True)
    frame.every_second(lambda: reasons.set_content(_reasons(context)))


def _reasons(context: PageContext) -> str:
    found = context.live.reasons.most_common()
    return definitions((reason, f"{number:,}") for reason, number in found) or "<p>None yet.</p>"


def _row(letter: DeadLetter, context: PageContext) -> tuple[str, ...]:
    source = letter.source
    origin = f"{source.topic}-{source.partition}-{source.offset}" if source else "-"
    shown = context.live.previews.get(letter.id, f"{letter.num_bytes} bytes")
    short = tuple(map(escape, (letter.reason or "foreign", letter.status, origin)))
    return *short, long_cell(shown), long_cell(letter.error)
