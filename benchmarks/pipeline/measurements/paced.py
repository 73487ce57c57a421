"""Latency, and CPU time a record, at a fixed rate: our worker, and that of an earlier commit.

A latency is the time from a record's timestamp, at which it is sent, to the arrival of its event at a `read_committed`
consumer in this process. CPU time is that of the worker and that of the broker, which serves this process too: the row
"no worker" is what the same traffic costs when the consumer reads the records themselves, and "net" is without that.
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
from benchmarks.pipeline.traffic import Traffic, TrafficAlone

MAX_WARM_S = 20.0  # of the start of the traffic, not counted; at most a quarter of the run
MAX_ALONE_S = 60.0  # of the traffic without a worker
WARM_UP_S = 5.0  # of a run that is not reported
DRAIN_TIMEOUT_S = 120.0

LATENCIES = ("p50_ms", "p99_ms", "p99_9_ms", "max_ms")
COSTS = ("worker_cpu_us", "broker_cpu_us", "broker_net_us", "rss_bytes", "connections", "events_per_batch")
COLUMNS = (
    Column("events", "events", "{:,}"),
    Column("p50_ms", "p50 ms", "{:.1f}"),
    Column("p99_ms", "p99", "{:.1f}"),
    Column("p99_9_ms", "p99.9", "{:.1f}"),
    Column("max_ms", "max", "{:.1f}"),
    Column("worker_cpu_us", "worker us"),
    Column("broker_cpu_us", "broker us"),
    Column("broker_net_us", "net"),
    Column("rss_bytes", "RSS MB", megabytes),
    Column("connections", "conns"),
    Column("batches", "batches", "{:,}"),
    Column("events_per_batch", "events/batch", "{:.1f}"),
)


@dataclass(frozen=True)
class _Moment:
    """The accounts of the broker, and of the worker if there is one, at a wall-clock time."""

    at_s: float
    broker_cpu_s: float
    worker_cpu_s: float
    batches: Batches

    @classmethod
    def now(cls, bench: Bench, worker: ProgramProcess | None) -> _Moment:
        of_worker = (cpu_s(worker.pid), batches(worker.metrics())) if worker else (0.0, Batches(0, 0))
        return cls(time.time(), cpu_s(bench.broker_pid), *of_worker)


def measure_paced(bench: Bench) -> Report:
    """A row for our worker, the one before and none, after runs that only warm up the broker and fill caches."""
    amounts = bench.amounts
    title = f"paced: {amounts.rate:g} records/s for {amounts.seconds:g} s, {amounts.partitions} partitions"
    report = Report(title, COLUMNS, [])
    for program in bench.workers:
        warm_up(bench, program, amounts.partitions)
    alone = _row_alone(bench)
    for program in bench.workers:
        row = paced_row(bench, program, amounts.seconds, amounts.partitions, report.problems)
        report.rows.insert(0, row | {"broker_net_us": row["broker_cpu_us"] - alone["broker_cpu_us"]})
    for before in report.rows[1:]:
        report.add_ratio("ours / before", report.rows[0], before, (*LATENCIES, *COSTS))
    histograms = {row["program"]: row["histogram"] for row in report.rows}
    report.rows.append(alone)
    report.notes.append("us: CPU time a record; net: without that of no worker; conns: the worker's to the broker")
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
    workplace = bench.workplace(num_partitions)
    worker = bench.worker(program, workplace)
    try:
        worker.start()
        worker.wait_for_metric("owned_partitions", num_partitions)
        traffic = Traffic(workplace, bench.amounts.streams, bench.amounts.rate)
        row = asyncio.run(_row(bench, traffic, seconds, worker))
        code = worker.terminate()
        assert code == 0, f"{worker.name} ended with {code}\n{worker.tail()}"
    finally:
        worker.kill()
        workplace.delete_topics()
    if problem := traffic.problem():
        problems.append(f"{program.name}, {num_partitions} partitions: {problem}")
    return {"program": program.name, "partitions": num_partitions, **row}


def _row_alone(bench: Bench) -> dict[str, Any]:
    workplace = bench.workplace(bench.amounts.partitions)
    traffic = TrafficAlone(workplace, bench.amounts.streams, bench.amounts.rate)
    row = asyncio.run(_row(bench, traffic, min(bench.amounts.seconds, MAX_ALONE_S), None))
    workplace.delete_topics()
    return {"program": "no worker", "partitions": bench.amounts.partitions, **row}


async def _row(bench: Bench, traffic: Traffic, seconds: float, worker: ProgramProcess | None) -> dict[str, Any]:
    """Send for `seconds`, and read until every record has an event."""
    async with traffic:
        ends_at = time.monotonic() + seconds
        sending = asyncio.create_task(traffic.send(lambda: time.monotonic() >= ends_at))
        await asyncio.sleep(min(MAX_WARM_S, seconds / 4))
        begin = await asyncio.to_thread(_Moment.now, bench, worker)
        await sending
        end = await asyncio.to_thread(_Moment.now, bench, worker)
        await traffic.wait_for(lambda: traffic.num_outstanding <= 0, DRAIN_TIMEOUT_S, "an event for each record")
    latencies_ms = traffic.latencies_ms(begin.at_s, end.at_s)
    row = {"records": len(traffic.sent_s), "events": len(traffic.arrivals), **quantiles(latencies_ms)}
    row["broker_cpu_us"] = 1e6 * (end.broker_cpu_s - begin.broker_cpu_s) / len(latencies_ms)
    if worker:
        num_batches = end.batches.num_batches - begin.batches.num_batches
        row["worker_cpu_us"] = 1e6 * (end.worker_cpu_s - begin.worker_cpu_s) / len(latencies_ms)
        row["rss_bytes"] = rss_bytes(worker.pid)
        row["connections"] = sum(num_connections(worker.pid, broker.port) for broker in bench.stack.brokers)
        row["batches"] = num_batches
        row["events_per_batch"] = (end.batches.num_records - begin.batches.num_records) / max(num_batches, 1)
    return row | {"histogram": histogram(latencies_ms)}
