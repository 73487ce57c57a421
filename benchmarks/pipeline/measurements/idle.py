"""What a worker costs that has nothing to do."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

from benchmarks.pipeline.bench import Bench
from benchmarks.pipeline.probes.proc import Usage
from benchmarks.pipeline.programs import Program
from benchmarks.pipeline.report import Column, Report

MAX_SETTLE_S = 5.0  # after the assignment, not counted; at most as long as what is measured
COLUMNS = (
    Column("worker_cpu_share", "worker, % of a core", "{:.2%}"),
    Column("broker_cpu_share", "broker, % of a core", "{:.2%}"),
)


def measure_idle(bench: Bench) -> Report:
    """A row for the broker alone, for our worker and for the one before."""
    amounts = bench.amounts
    rows = [_row(bench, None), *(_row(bench, program) for program in bench.workers[::-1])]
    return Report(f"idle: nothing to do for {amounts.idle_s:g} s, {amounts.partitions} partitions", COLUMNS, rows)


def _row(bench: Bench, program: Program | None) -> dict[str, Any]:
    workplace, idle_s = bench.workplace(bench.amounts.partitions), bench.amounts.idle_s
    with ExitStack() as ended:
        ended.callback(workplace.delete_topics)
        pids = {"broker": bench.broker_pid}
        if program:
            worker = ended.enter_context(bench.worker(program, workplace))
            worker.wait_for_metric("owned_partitions", bench.amounts.partitions)
            pids["worker"] = worker.pid
        time.sleep(min(MAX_SETTLE_S, idle_s))
        begin = {name: Usage.of(pid) for name, pid in pids.items()}
        time.sleep(idle_s)
        end = {name: Usage.of(pid) for name, pid in pids.items()}
    shares = {
        f"{name}_cpu_share": (end[name].cpu_s - begin[name].cpu_s) / (end[name].at_s - begin[name].at_s)
        for name in pids
    }
    return {"program": program.name if program else "no worker", **shares}
