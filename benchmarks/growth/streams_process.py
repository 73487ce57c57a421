"""A process that has the states of one number of streams, and measures what a record costs it."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping
from itertools import cycle
from multiprocessing.connection import Connection
from os import getpid
from typing import Any, NamedTuple

import redis
import uvloop

from benchmarks.growth.entries import write_entries
from benchmarks.growth.microbatches import MicroBatches
from benchmarks.growth.samples import sample_entries
from benchmarks.growth.tweets import TweetBatches, stream_names
from benchmarks.pipeline.probes.proc import rss_bytes
from worker.network import load_engine
from worker.process import calm_garbage_collector
from worker.settings import load_settings

PARTITIONS = 8
RECORDS = 64  # of a micro-batch and a partition


class Cost(NamedTuple):
    """CPU microseconds a record: of this process, and of Redis."""

    worker_us: float
    redis_us: float


class StreamsProcess:
    """Owns PARTITIONS partitions with the states of `num_streams` streams. `serve` gives its methods to a parent."""

    def __init__(self, flags: Mapping[str, Any], num_streams: int, num_batches: int) -> None:
        """flags: the settings. num_batches: of a round."""
        settings = load_settings(**flags, partitions=PARTITIONS, max_cached_streams=2 * num_streams)
        engine = load_engine(settings)
        self._num_streams, self._num_batches = num_streams, num_batches
        self._redis = redis.Redis.from_url(settings.redis)
        self._worker = MicroBatches(settings, engine)
        self._names = {tp: stream_names(tp, range(num_streams // PARTITIONS)) for tp in self._worker.tps}
        self._tweets = TweetBatches(self._names, RECORDS)
        engine.warm_up()
        calm_garbage_collector()

    async def fill(self) -> float:
        """Write an entry for each stream to Redis; returns the bytes a stream that Redis holds more."""
        before = self._redis_bytes()
        await self._worker.own()
        for tp, entries in (await sample_entries(self._worker, self._names)).items():
            partition, all_entries = self._worker.partitions[tp], zip(self._names[tp], cycle(entries), strict=False)
            await write_entries(self._worker.store, tp, partition.fence, all_entries, partition.applied)
        self._worker.forget()
        return (self._redis_bytes() - before) / self._num_streams

    async def cold_round(self) -> Cost:
        """Micro-batches none of whose streams is in memory."""
        return await self._round(is_cold=True)

    async def hot_round(self) -> Cost:
        """Micro-batches all of whose streams are in memory."""
        return await self._round(is_cold=False)

    async def load(self) -> float:
        """Read every state into memory; returns the bytes a stream that this process holds more."""
        gc.collect()
        before = rss_bytes(getpid())
        await self._worker.load(self._names)
        gc.collect()
        return (rss_bytes(getpid()) - before) / self._num_streams

    async def release(self) -> float:
        """Drop every state from memory, as at a revocation; returns the seconds in which nothing else runs."""
        began_s = time.monotonic()
        self._worker.forget()
        return time.monotonic() - began_s

    async def _round(self, *, is_cold: bool) -> Cost:
        worker_s = redis_s = 0.0
        for _ in range(self._num_batches):
            if is_cold:
                self._worker.forget()
            records = self._tweets.next(self._worker.offsets)
            worker_before_s, redis_before_s = time.process_time(), self._redis_cpu_s()
            await self._worker.process(records)
            worker_s += time.process_time() - worker_before_s
            redis_s += self._redis_cpu_s() - redis_before_s
        num_records = self._num_batches * PARTITIONS * RECORDS
        return Cost(1e6 * worker_s / num_records, 1e6 * redis_s / num_records)

    def _redis_bytes(self) -> int:
        memory: Any = self._redis.info("memory")
        return int(memory["used_memory"])

    def _redis_cpu_s(self) -> float:
        cpu: Any = self._redis.info("cpu")
        return float(cpu["used_cpu_user"] + cpu["used_cpu_sys"])


def serve(pipe: Connection, flags: Mapping[str, Any], num_streams: int, num_batches: int) -> None:
    """Answer the names of methods with what they return, until None comes."""

    async def answer() -> None:
        process = StreamsProcess(flags, num_streams, num_batches)
        while (name := pipe.recv()) is not None:
            pipe.send(await getattr(process, name)())

    uvloop.run(answer())
