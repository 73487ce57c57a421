"""The rate at which our worker drains a backlog, beside its peers on the same records, one after the other.

Every row is a process of its own on the same local Kafka and Redis. A rate counts committed events by their timestamps,
after the first micro-batch; CPU time is that of the process, without Kafka and Redis. The last row is our worker again:
trust ratios only as far as its own are close to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.pipeline.bench import Bench
from benchmarks.pipeline.measurements.drain import Drained, drain
from benchmarks.pipeline.programs import OURS, PROGRAMS, STOCK_FAUST
from benchmarks.pipeline.records import produce
from benchmarks.pipeline.report import Column, Report

COLUMNS = (
    Column("events", "events", "{:,}"),
    Column("records", "of", "{:,}"),
    Column("records_per_s", "records/s"),
    Column("rate_ratio", "x", "{:.2f}"),
    Column("records_per_s_from_start", "with start"),
    Column("cpu_us", "CPU us"),
    Column("cpu_ratio", "x", "{:.2f}"),
    Column("same_labels", "labels", "{:.1%}"),
)


def measure_backlog(bench: Bench) -> Report:
    """All rows, after a run that only warms up the broker. Of several rounds, a program's fastest counts."""
    amounts = bench.amounts
    backlog = produce(bench.stack, amounts.records, amounts.streams)
    short = produce(bench.stack, min(amounts.faust_records, amounts.records), amounts.streams)
    drain(bench, OURS, short)
    ours, *others = PROGRAMS
    programs = (ours, *([bench.before] if bench.before else []), *others, ours)
    rounds = [
        [drain(bench, program, short if program is STOCK_FAUST else backlog) for program in programs]
        for _ in range(amounts.rounds)
    ]
    made = report([max(rows, key=_records_per_s) for rows in zip(*rounds, strict=True)])
    made.problems = [problem for rows in rounds for row in rows for problem in row.problems()]
    return made


def _records_per_s(row: Drained) -> float:
    return row.pace.records_per_s if row.pace else 0.0


def report(rows: Sequence[Drained]) -> Report:
    """The rows; the ratios of rates and CPU times are to the first row."""
    ours = rows[0]
    notes = [f"{row.program.name}: {row.program.guarantee}" for row in {row.program.name: row for row in rows}.values()]
    notes.append("with start: records/s since the launch of the process; labels: share that is the same as ours")
    notes.append("\na micro-batch of ours, ms   " + "   ".join(_stages(ours)))
    return Report(
        f"backlog: {ours.num_records:,} tweets",
        COLUMNS,
        [_row(row, ours) for row in rows],
        notes=notes,
        problems=[problem for row in rows for problem in row.problems()],
    )


def _row(row: Drained, ours: Drained) -> dict[str, Any]:
    head = {"program": row.program.name, "guarantee": row.program.guarantee}
    if row.pace is None or ours.pace is None:
        return head | {"skipped": row.skipped}
    return head | {
        "records": row.num_records,
        "events": len(row.events.times_ms),
        "records_with_an_event": len(row.events.labels),
        "same_labels": same_labels(row, ours),
        **vars(row.pace),
        "rate_ratio": row.pace.records_per_s / ours.pace.records_per_s,
        "cpu_ratio": row.pace.cpu_us / ours.pace.cpu_us,
        "stages_ms": row.stages_ms,
    }


def _stages(row: Drained) -> list[str]:
    return [f"{stage} p50 {p50_ms:.1f} p99 {p99_ms:.1f}" for stage, (p50_ms, p99_ms) in row.stages_ms.items()]


def same_labels(row: Drained, ours: Drained) -> float:
    """Share of the row's records that have the same label as in our worker's row."""
    labels = row.events.labels
    return sum(ours.events.labels.get(name) == label for name, label in labels.items()) / max(len(labels), 1)
