"""How soon a killed worker's partitions give events again, the more streams they have.

As `benchmarks.pipeline --only takeover`, after other streams have got entries in Redis, evenly over the partitions.
"""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.growth.bench import GrowthBench
from benchmarks.growth.fill import fill
from benchmarks.growth.tweets import stream_names
from benchmarks.pipeline.measurements.takeover import COLUMNS, kill_again_and_again, span_rows
from benchmarks.pipeline.programs import OURS
from benchmarks.pipeline.report import Report
from worker.records.types import TopicPartition

MAX_READY_S = 2.0
SHOWN = ("detected_to_all", "assigned_to_first", "assigned_to_all")


def measure_takeover(bench: GrowthBench) -> Report:
    """A row for each span of time and number of streams."""
    workers = bench.workers
    title = f"takeover: {workers.amounts.rate:g} records/s, {workers.amounts.partitions} partitions, kill -9"
    report = Report(title, COLUMNS, [])
    for num_streams in bench.amounts.takeover_streams:
        workplace = workers.workplace(workers.amounts.partitions)
        tps = [TopicPartition(workplace.topic, number) for number in range(workplace.settings.partitions)]
        asyncio.run(fill(workplace.settings, {tp: stream_names(tp, range(num_streams // len(tps))) for tp in tps}))
        kills = asyncio.run(kill_again_and_again(workers, OURS, workplace, report.problems))
        rows = [row for row in span_rows(f"{num_streams:,} streams", kills) if row["span"] in SHOWN]
        report.rows += [row | {"streams": num_streams} for row in rows]
        report.problems += _problems(rows)
    report.notes.append("detected: the coordinator has expelled the dead worker; assigned: the group is stable again")
    return report


def _problems(rows: list[dict[str, Any]]) -> list[str]:
    return [
        f"{row['program']}: {row['p50_s']:.2f} s, more than {MAX_READY_S:g}"
        for row in rows
        if row["span"] == "assigned_to_all" and row["p50_s"] > MAX_READY_S
    ]
