"""Try it: the network reads what a visitor types, word by word; and the same text on two streams with two pasts."""

from __future__ import annotations

import asyncio

from nicegui import ui

from model import GATES, Trace, TraceStep
from worker.errors import SentimentError
from worker.page.context import PageContext
from worker.page.live.streams import Text
from worker.page.views.layout import Frame, block, heading
from worker.page.views.markup import definitions, escape, items, label_badge, signed, stream_url, text_item, word_span

MAX_CHARS = 500
MAX_WORDS = 80
_PASTS = (
    ("A stream that was pleased", ("Great flight, thanks!", "Love this crew", "Best trip ever, so happy")),
    ("A stream that was annoyed", ("Never again.", "Worst flight ever, so rude", "Lost my bag and nobody cares")),
)
_COLUMNS, _CELL = 64, 6


def try_view(context: PageContext, frame: Frame) -> None:
    """Build the view."""
    heading("Word by word")
    box = (
        ui.input("Your text", value="not bad at all, thanks").props(f"outlined maxlength={MAX_CHARS}").classes("w-full")
    )
    shown = block("<p>Loading the network.</p>").props("aria-live=polite")
    strip = block()
    heading("One sentence, two pasts")
    block(
        '<p class="quiet">Two streams read the same text. One has read praise before, the other complaints: what each '
        "remembers is its state. It tips texts that are unclear, and hardly ever one that is clear.</p>"
    )
    pasts = block()

    async def read() -> None:
        text = (box.value or "")[:MAX_CHARS]
        trace = await context.trace(text)
        if text != (box.value or "")[:MAX_CHARS]:
            return  # typed on meanwhile
        shown.set_content(_steps(trace))
        strip.set_content(_strip(trace.steps[-1]) if trace.steps else "")
        pasts.set_content(await _two_pasts(context, text))

    box.on_value_change(read)
    ui.timer(0.0, read, once=True)
    if context.demo:
        _send_form(context)


def _steps(trace: Trace) -> str:
    result = trace.result
    words = " ".join(word_span(step.word, step.change) for step in trace.steps[:MAX_WORDS])
    scores = " ".join(signed(step.score) for step in trace.steps[:MAX_WORDS])
    figures = definitions(
        [
            ("label", result.label),
            ("score", signed(result.score)),
            ("confidence", f"{result.confidence:.0%}"),
            ("words", f"{len(trace.steps)}"),
        ]
    )
    return f'<p class="big">{words}</p><p class="quiet">score after each word: {escape(scores)}</p>{figures}'


def _strip(step: TraceStep) -> str:
    """Gates and cells after the last word, each column the mean of neighbouring cells."""
    rows = [*zip(GATES, step.gates, strict=True), ("cell", step.cell)]
    width = 60 + _COLUMNS * _CELL
    drawn, means = [], []
    for at, (name, values) in enumerate(rows):
        drawn.append(f'<text x="0" y="{at * 14 + 10}">{name}</text>')
        means.append(f"{name} {values.mean():+.2f}")
        for column, value in enumerate(values.reshape(_COLUMNS, -1).mean(axis=1)):
            kind = "gate" if name not in {"candidate", "cell"} else "pos" if value > 0 else "neg"
            drawn.append(
                f'<rect class="{kind}" x="{60 + column * _CELL}" y="{at * 14}" width="{_CELL}" height="12" '
                f'opacity="{min(1.0, abs(float(value))):.2f}"/>'
            )
    label = f"Gates and cells after the last word; means: {', '.join(means)}"
    caption = f'<p class="quiet">Gates and cells after <q>{escape(step.word)}</q>: means {", ".join(means)}.</p>'
    return (
        f'<svg class="strip" viewBox="0 0 {width} 70" role="img" aria-label="{label}">{"".join(drawn)}</svg>{caption}'
    )


async def _two_pasts(context: PageContext, text: str) -> str:
    columns = []
    for title, past in _PASTS:
        state = None
        for earlier in past:
            state = (await context.trace(earlier, state)).state
        before = (await context.trace("", state)).result
        trace = await context.trace(text, state)
        words = " ".join(word_span(step.word, step.change) for step in trace.steps[:MAX_WORDS])
        read = "".join(f"<li>{escape(earlier)}</li>" for earlier in past)
        columns.append(
            f'<section class="past" aria-label="{title}"><h3>{title}</h3>'
            f'<p class="quiet">It has read:</p><ul>{read}</ul>'
            f"<p>Its state alone: {signed(before.score)}</p><p class='big'>{words}</p>"
            f"<p>{label_badge(trace.result.label, trace.result.score)}</p></section>"
        )
    return f'<div class="pair">{"".join(columns)}</div>'


def _send_form(context: PageContext) -> None:
    heading("Through Kafka")
    block('<p class="quiet">Send a text to a stream of the demo, and see the event that the worker makes of it.</p>')
    stream = ui.input("Stream", value="visitor").props("outlined maxlength=100")
    text = ui.input("Text for the stream", value="This is the best thing I have seen").props(
        f"outlined maxlength={MAX_CHARS}"
    )
    answer = block().props("role=status")

    async def send() -> None:
        if context.demo is None or not stream.value:
            return
        topic = context.settings.topics[0]
        line = context.live.streams.get((topic, stream.value))
        before = line.texts[0] if line and line.texts else None
        answer.set_content("<p>Sent; waiting for its event.</p>")
        try:
            await context.demo.ask("send", stream=stream.value, text=(text.value or "")[:MAX_CHARS])
        except SentimentError as error:
            answer.set_content(f"<p>{escape(error)}</p>")
            return
        found = await _next_text(context, (topic, stream.value), before)
        said = items([text_item(found)], "") if found else "<p>No event within 30 s; see the health of the parts.</p>"
        link = f'<p><a href="{escape(stream_url(topic, stream.value))}">The stream\'s own view</a></p>'
        answer.set_content(said + link)

    ui.button("Send to Kafka", on_click=send, color=None).props("flat no-caps")


async def _next_text(context: PageContext, key: tuple[str, str], before: Text | None) -> Text | None:
    for _ in range(150):
        line = context.live.streams.get(key)
        if line and line.texts and line.texts[0] is not before:
            return line.texts[0]
        await asyncio.sleep(0.2)
    return None
