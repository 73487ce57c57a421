"""Streams: a searchable table of those that are kept, and the view of one stream."""

from __future__ import annotations

from typing import Any, NamedTuple

from nicegui import ui

from worker.page.context import PageContext
from worker.page.live.streams import KeptStream
from worker.page.views.charts import update_ribbon, wide_chart
from worker.page.views.layout import Frame, block, heading
from worker.page.views.markup import (
    coloured,
    definitions,
    escape,
    items,
    label_badge,
    signed,
    sparkline,
    stream_url,
    text_item,
)

_NUM_ROWS = 25


class _Row(NamedTuple):
    """The elements of a row, which are updated in place, so that the link keeps the keyboard's focus."""

    row: ui.element
    link: ui.link
    mood: ui.html
    trend: ui.html
    number: ui.html
    last: ui.html


def streams_view(context: PageContext, frame: Frame) -> None:
    """Build the table."""
    block('<p class="quiet">The streams whose mood changes fastest come first.</p>')
    search = ui.input("Search streams").props("outlined dense clearable").classes("w-full")
    found = block()
    with ui.element("div").classes("wide").props('tabindex=0 role=region aria-label="Streams"'), ui.element("table"):
        with ui.element("thead"), ui.element("tr"):
            for name in ("Stream", "Mood", "Trend", "Records", "Last text"):
                ui.html(name, tag="th", sanitize=False).props("scope=col")
        with ui.element("tbody"):
            rows = [_new_row() for _ in range(_NUM_ROWS)]

    def update() -> None:
        lines = context.live.streams.search(search.value or "", _NUM_ROWS)
        found.set_content(_found(context, len(lines)))
        for at, row in enumerate(rows):
            row.row.set_visibility(at < len(lines))
            if at < len(lines):
                _show(row, lines[at])

    search.on_value_change(lambda _: update())
    frame.every_second(update)


def _new_row() -> _Row:
    with ui.element("tr") as row:
        with ui.element("td").classes("stream"):
            link = ui.link("", "/streams")
        cells = [ui.html("", tag="td", sanitize=False) for _ in range(4)]
    return _Row(row, link, *cells)


def _show(row: _Row, line: KeptStream) -> None:
    topic, name = line.key
    row.link.set_text(name)
    row.link.props["href"] = stream_url(topic, name)
    row.mood.set_content(signed(line.mood))
    row.trend.set_content(sparkline(line))
    row.number.set_content(f"{line.num_records:,}")
    last = line.texts[0] if line.texts else None
    row.last.set_content(
        f'<div class="long two-lines">{coloured(last.text, last.words)}</div>' if last and last.text is not None else ""
    )


def _found(context: PageContext, number: int) -> str:
    table = context.live.streams
    said = f"{number} shown, {len(table):,} kept, about {context.live.distinct.estimate():,} seen."
    return f'<p class="quiet" role="status">{said}</p>'


def stream_view(context: PageContext, frame: Frame, topic: str, name: str) -> None:
    """Build the view of one stream."""
    figures = block()
    chart = wide_chart("Mood of the stream over its latest texts", "mood", lowest=-1, highest=1)
    heading("Shifts")
    shifts = block()
    heading("Latest texts")
    texts = block()

    def update() -> None:
        line = context.live.streams.get((topic, name))
        if line is None:
            figures.set_content("<p>The page does not keep this stream: it has read no text of it lately.</p>")
            return
        pairs = [("topic", topic), ("mood", signed(line.mood)), ("mood change per text", signed(line.change))]
        figures.set_content(definitions([*pairs, ("records", f"{line.num_records:,}")]))
        update_ribbon(chart, line)
        shifts.set_content(items(map(_shift_item, line.shifts), "No shift was reported while the page was open."))
        texts.set_content(items((text_item(text, with_stream=False) for text in line.texts), "No text yet."))

    frame.every_second(update)


def _shift_item(shift: dict[str, Any]) -> str:
    before, after, evidence = shift["from"], shift["to"], shift["evidence"]
    return (
        f"<li>{label_badge(before['label'], before['score'])} to {label_badge(after['label'], after['score'])} "
        f"since <time>{escape(shift['since'])}</time>; evidence: {escape(evidence['method'])} over "
        f"{evidence['num_records']} records, statistic {evidence['statistic']:.1f}, threshold "
        f"{evidence['threshold']:.1f}</li>"
    )
