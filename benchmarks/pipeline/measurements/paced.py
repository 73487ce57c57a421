"""Latency, and CPU time a record, at a fixed rate: our worker, and that of an earlier commit.

A latency is the time from a record's timestamp, at which it is sent, to the arrival of its event at a `read_committed`
consumer in this process. CPU time is that of the worker and that of the broker, which serves this process too.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.pipeline.bench import Bench
from benchmarks.pipeline.draw import draw_latencies
from benchmarks.pipeline.latency import histogram, histogram_table, quantiles
from benchmarks.pipeline.probes.metrics import Batches, batches
from benchmarks.pipeline.probes.proc import cpu_s, num_connections, rss_bytes
from benchmarks.pipeline.programs import Program, ProgramProcess
from benchmarks.pipeline.report import Column, Report, megabytes
from benchmarks.pipeline.traffic import Traffic

MAX_WARM_S = 10.0  # of the start of the traffic, not counted; at most a quarter of the run
WARM_UP_S = 5.0  # of a run that is not reported
DRAIN_TIMEOUT_S = 120.0

LATENCIES = ("p50_ms", "p99_ms", "p99_9_ms", "max_ms")
COSTS = ("worker_cpu_us", "broker_cpu_us", "rss_bytes", "connections", "events_per_batch")
COLUMNS = (
    Column("events", "events", "{:,}"),
    Column("p50_ms", "p50 ms", "{:.1f}"),
    Column("p99_ms", "p99", "{:.1f}"),
    Column("p99_9_ms", "p99.9", "{:.1f}"),
    Column("max_ms", "max", "{:.1f}"),
    Column("worker_cpu_us", "worker us"),
    Column("broker_cpu_us", "broker us"),
    Column("rss_bytes", "RSS MB", megabytes),
    Column("connections", "conns"),
    Column("batches", "batches", "{:,}"),
    Column("events_per_batch", "events/batch", "{:.1f}"),
)


@dataclass(frozen=True)
class _Moment:
    """The accounts of the worker and the broker at a wall-clock time."""

    at_s: float
    worker_cpu_s: float
    broker_cpu_s: float
    batches: Batches

    @classmethod
    def now(cls, bench: Bench, worker: ProgramProcess) -> _Moment:
        made = batches(worker.current_metrics())
        return cls(time.time(), cpu_s(worker.pid), cpu_s(bench.broker_pid), made)


def measure_paced(bench: Bench) -> Report:
    """A row for our worker and for the one before, after runs that only warm up the broker and compile the kernels."""
    amounts = bench.amounts
    title = f"paced: {amounts.rate:g} records/s for {amounts.seconds:g} s, {amounts.partitions} partitions"
    report = Report(title, COLUMNS, [])
    for program in bench.workers:
        warm_up(bench, program, amounts.partitions)
    for program in bench.workers:
        report.rows.insert(0, paced_row(bench, program, amounts.seconds, amounts.partitions, report.problems))
    for before in report.rows[1:]:
        report.add_ratio(report.rows[0], before, (*LATENCIES, *COSTS))
    histograms = {row["program"]: row["histogram"] for row in report.rows}
    report.notes.append("us: CPU time a record; conns: the worker's connections to the broker")
    report.extras.append(histogram_table(histograms))
    if bench.plots:
        draw_latencies(histograms, f"{amounts.rate:g} records/s, {amounts.partitions} partitions", bench.plots)
    return report


def warm_up(bench: Bench, program: Program, num_partitions: int) -> None:
    """A short run that is not reported."""
    paced_row(bench, program, min(WARM_UP_S, bench.amounts.seconds), num_partitions, [])


def paced_row(
    bench: Bench, program: Program, seconds: float, num_partitions: int, problems: list[str]
) -> dict[str, Any]:
    """The figures of one program with `num_partitions` partitions. Problems are appended to `problems`."""
    return asyncio.run(_paced_row(bench, program, seconds, num_partitions, problems))


async def _paced_row(
    bench: Bench, program: Program, seconds: float, num_partitions: int, problems: list[str]
) -> dict[str, Any]:
    rate = bench.amounts.rate
    workplace = bench.workplace(num_partitions)
    worker = bench.worker(program, workplace)
    try:
        worker.start()
        worker.wait_for_metric("owned_partitions", num_partitions)
        async with Traffic(workplace, bench.amounts.streams, rate) as traffic:
            ends_at = time.monotonic() + seconds
            sending = asyncio.create_task(traffic.send(lambda: time.monotonic() >= ends_at))
            await asyncio.sleep(min(MAX_WARM_S, seconds / 4))
            begin = await asyncio.to_thread(_Moment.now, bench, worker)
            await sending
            end = await asyncio.to_thread(_Moment.now, bench, worker)
            usage = {"rss_bytes": rss_bytes(worker.pid), "connections": _connections(bench, worker)}
            await traffic.wait_for(lambda: traffic.num_outstanding <= 0, DRAIN_TIMEOUT_S, "an event for each record")
        code = worker.terminate()
        assert code == 0, f"{worker.name} ended with {code}\n{worker.tail()}"
    finally:
        worker.kill()
        workplace.delete_topics()
    if problem := traffic.problem():
        problems.append(f"{program.name}, {num_partitions} partitions: {problem}")
    latencies_ms = traffic.latencies_ms(begin.at_s, end.at_s)
    row = {"program": program.name, "partitions": num_partitions, "records": len(traffic.sent_s)}
    row |= {"events": len(traffic.arrivals), "records_per_s": rate, **quantiles(latencies_ms)}
    return row | _costs(begin, end, len(latencies_ms)) | usage | {"histogram": histogram(latencies_ms)}


def _costs(begin: _Moment, end: _Moment, num_records: int) -> dict[str, Any]:
    num_batches = end.batches.num_batches - begin.batches.num_batches
    return {
        "worker_cpu_us": 1e6 * (end.worker_cpu_s - begin.worker_cpu_s) / num_records,
        "broker_cpu_us": 1e6 * (end.broker_cpu_s - begin.broker_cpu_s) / num_records,
        "batches": num_batches,
        "events_per_batch": (end.batches.num_records - begin.batches.num_records) / max(num_batches, 1),
    }


def _connections(bench: Bench, worker: ProgramProcess) -> int:
    return sum(num_connections(worker.pid, broker.port) for broker in bench.stack.brokers)
