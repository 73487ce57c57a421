"""The rows as a table for the terminal and as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.pipeline.programs import ProgramResult

TABLE_WIDTH = 118


def print_table(rows: Sequence[ProgramResult]) -> None:
    """Print the rows; the ratios ("x") of rates and CPU times are to the first row."""
    table = Table(title=f"{rows[0].num_records:,} tweets, {os.cpu_count()} cores", box=SIMPLE, pad_edge=False)
    table.add_column("program")
    for column in ("events", "of", "records/s", "x", "with start", "CPU us", "x", "labels"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row, rows[0]))
    console = Console(width=TABLE_WIDTH, highlight=False)
    console.print(table)
    for program in {row.program.name: row.program for row in rows}.values():
        console.print(f"{program.name}: {program.guarantee}")
    console.print("with start: records/s since the launch of the process; labels: share that is the same as ours")
    console.print("\na micro-batch of ours, ms   " + "   ".join(_stages(rows[0])))


def _stages(row: ProgramResult) -> list[str]:
    return [f"{stage} p50 {p50_ms:.1f} p99 {p99_ms:.1f}" for stage, (p50_ms, p99_ms) in row.stages_ms.items()]


def _cells(row: ProgramResult, ours: ProgramResult) -> list[str]:
    name = row.program.name
    if row.pace is None or ours.pace is None:
        return [f"{name}: skipped, {row.skipped}"]
    pace = row.pace
    return [
        name,
        f"{len(row.events.times_ms):,}",
        f"{row.num_records:,}" + ("" if row.is_complete else " (!)"),
        f"{pace.records_per_s:,.0f}",
        f"{pace.records_per_s / ours.pace.records_per_s:.2f}",
        f"{pace.records_per_s_from_start:,.0f}",
        f"{pace.cpu_us:,.0f}",
        f"{pace.cpu_us / ours.pace.cpu_us:.2f}",
        f"{100 * same_labels(row, ours):.1f}%",
    ]


def same_labels(row: ProgramResult, ours: ProgramResult) -> float:
    """Share of the row's records that have the same label as in our worker's row."""
    labels = row.events.labels
    return sum(ours.events.labels.get(name) == label for name, label in labels.items()) / max(len(labels), 1)


def as_json(rows: Sequence[ProgramResult]) -> dict[str, Any]:
    """The content of the table, and the stages of every row."""
    ours = rows[0]
    return {
        "machine": {"cores": os.cpu_count(), "processor": platform.machine(), "python": platform.python_version()},
        "rows": [
            {"program": row.program.name, "guarantee": row.program.guarantee, "skipped": row.skipped}
            if row.pace is None
            else {
                "program": row.program.name,
                "guarantee": row.program.guarantee,
                "records": row.num_records,
                "events": len(row.events.times_ms),
                "records_with_an_event": len(row.events.labels),
                "same_labels": same_labels(row, ours),
                **vars(row.pace),
                "stages_ms": row.stages_ms,
            }
            for row in rows
        ],
    }
