"""What a record costs, the more workers share the partitions.

The workers are suspended while the records are produced, and go on together: each finds a backlog, as on a machine of
its own. They share the cores of this one, so that the rate says nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from benchmarks.growth.bench import GrowthBench
from benchmarks.growth.progress import Progress, Sample, progress, watch
from benchmarks.pipeline.probes.metrics import owned_partitions
from benchmarks.pipeline.programs import OURS, ProgramProcess
from benchmarks.pipeline.records import produce_to
from benchmarks.pipeline.report import Column, Report
from tests.workplace import new_workplace

MAX_RATIO = 1.1  # to the first row
PARTITIONS = 8
NUM_STREAMS = 5000
WARM_SHARE = 0.25  # of the records, beforehand, for the workers' caches
SESSION_TIMEOUT_S = 60  # a worker is suspended for longer than the default
SETTLE_TIMEOUT_S = 120.0
SETTLE_POLL_S = 0.5
COLUMNS = (
    Column("records", "records", "{:,}"),
    Column("cpu_us", "CPU us a record"),
    Column("ratio", "x", "{:.2f}"),
)


def measure_workers(bench: GrowthBench) -> Report:
    """A row for each number of workers; ratios are to the first."""
    rows: list[dict[str, Any]] = []
    for number in bench.amounts.workers:
        row = _row(bench, number)
        rows.append(row | {"ratio": row["cpu_us"] / rows[0]["cpu_us"] if rows else 1.0})
    problems = [
        f"{row['program']}: a record costs {row['ratio']:.2f} times that of {rows[0]['program']}"
        for row in rows
        if row["ratio"] > MAX_RATIO
    ]
    return Report(f"workers: {PARTITIONS} partitions, a backlog", COLUMNS, rows, problems=problems)


def _row(bench: GrowthBench, num_workers: int) -> dict[str, Any]:
    workplace = new_workplace(
        bench.stack, inputs=("tweets",), partitions=PARTITIONS, session_timeout_s=SESSION_TIMEOUT_S
    )
    workplace.create_topics()
    num_records = bench.amounts.worker_records
    with ExitStack() as ended:
        ended.callback(workplace.delete_topics)
        workers = [
            ended.enter_context(bench.workers.worker(OURS, workplace, suffix=f"-{number}"))
            for number in range(num_workers)
        ]
        _settle(workers)
        num_warm = int(WARM_SHARE * num_records)
        _work(bench, workplace.topic, workers, num_warm, num_warm)
        made = _work(bench, workplace.topic, workers, num_records, num_warm + num_records)
        for worker in workers:
            worker.terminate()
    return {"program": f"{num_workers} workers", "workers": num_workers, "records": num_records, **vars(made)}


def _work(
    bench: GrowthBench, topic: str, workers: Sequence[ProgramProcess], num_new: int, num_records: int
) -> Progress:
    """Let the workers find `num_new` records at once, with which they have had `num_records`."""
    for worker in workers:
        worker.pause()
    produce_to(bench.stack, topic, num_new, NUM_STREAMS)
    begin = Sample.now(workers, num_records - num_new)
    for worker in workers:
        worker.resume()
    return progress([begin, *watch(workers, "records_total", num_records)])


def _settle(workers: Sequence[ProgramProcess]) -> None:
    """Wait until the workers share the partitions evenly. Raises TimeoutError."""
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    while any(len(owned_partitions(worker.metrics())) * len(workers) != PARTITIONS for worker in workers):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the workers do not share the partitions within {SETTLE_TIMEOUT_S:g} s")
        time.sleep(SETTLE_POLL_S)
