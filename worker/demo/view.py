"""Renders a demo for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from worker.demo.tally import Tally, percentiles
from worker.records.unicode import printable
from worker.tools.terminal.marks import BAR_CELLS, label_mark, score_bar, shift_mark

_NUM_RECENT = 1000  # number of latest latencies that the percentiles are taken from
_WIDE_COLUMNS = 100  # wide enough for all columns
_NUM_OTHER_LINES = 14  # lines of the screen that show no stream


def render(tally: Tally, addresses: Sequence[str], hint: str, console: Console) -> RenderableType:
    """The whole screen; streams that do not fit are omitted."""
    return Group(
        Text("  ".join(addresses), "dim"),
        _streams(tally, max(1, console.height - _NUM_OTHER_LINES), is_wide=console.width >= _WIDE_COLUMNS),
        *(shift_mark(shift) for shift in tally.shifts),
        _figures(tally),
        Text(hint, "dim"),
    )


def _streams(tally: Tally, max_rows: int, *, is_wide: bool) -> Table:
    table = Table(expand=True, box=None, padding=(0, 1))
    table.add_column("stream", no_wrap=True, min_width=13)
    table.add_column("mood", no_wrap=True, min_width=2 * BAR_CELLS + 7)
    table.add_column("sentiment", no_wrap=True, min_width=14)
    table.add_column("latest text", no_wrap=True, overflow="ellipsis", ratio=1)
    if is_wide:
        table.add_column("topic", no_wrap=True)
        table.add_column("records", no_wrap=True, justify="right")
    for name, line in islice(sorted(tally.streams.items()), max_rows):
        more = (line.topic, f"{line.num_records:,}") if is_wide else ()
        mood = score_bar(line.mood).append(f" {line.mood:+.2f}")
        text = Text(printable(line.text))
        table.add_row(Text(printable(name)), mood, label_mark(line.label, line.score), text, *more)
    return table


def _figures(tally: Tally) -> Text:
    latencies_ms = list(tally.latencies_ms)[-_NUM_RECENT:]
    p50_ms, p99_ms = percentiles(latencies_ms, (0.50, 0.99))
    latency = "" if p50_ms is None else f"   latency p50 {p50_ms:.0f} ms, p99 {p99_ms:.0f} ms"
    reasons = ", ".join(f"{reason} {count}" for reason, count in tally.reasons.most_common(3))
    return Text.assemble(
        (f"{tally.rate():.0f} records/s{latency}   lag {tally.lag}", "bold"),
        f"   {tally.num_sent:,} records: {tally.num_events:,} events, {tally.num_dead_letters:,} dead letters",
        f" ({reasons})" if reasons else "",
        f", {tally.num_shifts} shifts",
    )
