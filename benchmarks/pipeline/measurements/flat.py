"""Whether the worker's memory stays flat while it drains many records."""

from __future__ import annotations

from benchmarks.pipeline.bench import Bench
from benchmarks.pipeline.measurements.drain import drain
from benchmarks.pipeline.programs import OURS
from benchmarks.pipeline.records import produce
from benchmarks.pipeline.report import Column, Report, megabytes

QUARTERS = ("first_quarter_rss_bytes", "second_quarter_rss_bytes", "third_quarter_rss_bytes", "last_quarter_rss_bytes")
COLUMNS = (
    Column("events", "events", "{:,}"),
    Column("records", "of", "{:,}"),
    Column("records_per_s", "records/s"),
    *(Column(key, f"{key.partition('_')[0]} quarter, MB", megabytes) for key in QUARTERS),
    Column("growth", "last / first", "{:.3f}"),
)


def measure_flat(bench: Bench) -> Report:
    """Resident memory of our worker: its mean in each quarter of the time from the first event to the last."""
    amounts = bench.amounts
    drained = drain(bench, OURS, produce(bench.stack, amounts.flat_records, amounts.streams))
    assert drained.pace is not None
    row = {
        "program": OURS.name,
        "records": drained.num_records,
        "events": len(drained.events.times_ms),
        "records_per_s": drained.pace.records_per_s,
        **dict(zip(QUARTERS, drained.rss_bytes, strict=True)),
        "growth": drained.rss_bytes[-1] / drained.rss_bytes[0],
    }
    title = f"flat: resident memory over {amounts.flat_records:,} tweets"
    return Report(title, COLUMNS, [row], problems=drained.problems())
