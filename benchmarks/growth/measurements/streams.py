"""What a record costs, and a stream weighs, the more streams there are.

A process for each number of streams runs the worker's steps 2 to 6 on a real Redis, without Kafka, whose part does not
know streams. A round is some micro-batches in which every record is of another stream; the processes take turns, so
that a ratio compares rounds of the same minute. Hot: the states are in memory; cold: they are read from Redis. All
streams have entries that the worker's encoder made from the states of streams with 32 tweets each.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

from benchmarks.growth.bench import GrowthBench
from benchmarks.growth.streams_process import serve
from benchmarks.pipeline.report import Column, Report
from tests.workplace import new_workplace

MAX_HOT_RATIO = 1.15  # to the first row
MAX_REDIS_BYTES, MAX_WORKER_BYTES = 1.2 * 1024, 2.0 * 1024  # a stream
COLUMNS = (
    Column("hot_us", "hot, CPU us", "{:.1f}"),
    Column("hot_ratio", "x", "{:.3f}"),
    Column("cold_us", "cold, CPU us", "{:.1f}"),
    Column("cold_ratio", "x", "{:.3f}"),
    Column("redis_hot_us", "Redis, hot us", "{:.1f}"),
    Column("redis_cold_us", "cold us", "{:.1f}"),
    Column("redis_bytes", "Redis B/stream"),
    Column("worker_bytes", "worker B/stream"),
    Column("release_s", "release s", "{:.2f}"),
)


class _Child:
    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def ask(self, method: str) -> Any:
        """What a method of StreamsProcess returns. Raises EOFError if the process has ended."""
        self._pipe.send(method)
        return self._pipe.recv()

    def close(self) -> None:
        self._pipe.send(None)


@contextmanager
def _child(bench: GrowthBench, num_streams: int) -> Iterator[_Child]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    flags = new_workplace(bench.stack, inputs=("tweets",), checkpoint=bench.checkpoint).flags
    process = context.Process(target=serve, args=(theirs, flags, num_streams, bench.amounts.batches))
    process.start()
    theirs.close()
    try:
        yield _Child(ours)
        ours.send(None)
    finally:
        ours.close()
        process.join()


def measure_streams(bench: GrowthBench) -> Report:
    """A row for each number of streams; ratios are medians over the rounds, to the first row."""
    amounts = bench.amounts
    rows: list[dict[str, Any]] = [{"program": f"{number:,} streams", "streams": number} for number in amounts.streams]
    with ExitStack() as ended:
        children = [ended.enter_context(_child(bench, number)) for number in amounts.streams]
        for row, child in zip(rows, children, strict=True):
            row["redis_bytes"] = child.ask("fill")
        cold = _rounds(children, "cold_round", amounts.rounds)
        for row, child in zip(rows, children, strict=True):
            row["worker_bytes"] = child.ask("load")
        hot = _rounds(children, "hot_round", amounts.rounds)
        for place, row in enumerate(rows):
            for name, rounds in (("hot", hot), ("cold", cold)):
                row[f"{name}_us"] = median(of_all[place].worker_us for of_all in rounds)
                row[f"redis_{name}_us"] = median(of_all[place].redis_us for of_all in rounds)
                row[f"{name}_ratio"] = median(of_all[place].worker_us / of_all[0].worker_us for of_all in rounds)
            row["release_s"] = children[place].ask("release")
    return Report(
        f"streams: {amounts.rounds} rounds of {amounts.batches} micro-batches",
        COLUMNS,
        rows,
        notes=["us: CPU microseconds a record, x: to the first row; release: all states dropped, as at a revocation"],
        problems=_problems(rows),
    )


def _rounds(children: list[_Child], method: str, num_rounds: int) -> list[list[Any]]:
    """The costs of each round, in the order of `children`, after a round that only warms up."""
    for child in children:
        child.ask(method)
    return [[child.ask(method) for child in children] for _ in range(num_rounds)]


def _problems(rows: list[dict[str, Any]]) -> list[str]:
    limits = {"hot_ratio": MAX_HOT_RATIO, "redis_bytes": MAX_REDIS_BYTES, "worker_bytes": MAX_WORKER_BYTES}
    largest = rows[-1]
    return [
        f"{largest['program']}: {key} is {largest[key]:,.2f}, more than {limit:,}"
        for key, limit in limits.items()
        if largest[key] > limit
    ]
