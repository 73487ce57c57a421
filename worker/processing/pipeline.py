"""A micro-batch, in numbered steps.

    1  take     whole per-partition batches, until `max_batch` records or `max_wait_ms`
    2  decode   a record that cannot be scored becomes a dead letter; its neighbours go on
    3  load     the states of the batch's streams: from memory, else one read to Redis
    4  score    in a thread: texts side by side, then each stream's texts in offset order
    5  commit   per partition one Kafka transaction: events, shifts, dead letters and the group's new offset C
    6  flush    per partition one Redis script: changed states and their position P; it may lag
    7  take over, 8  rebuild: worker/ownership/takeover.py

Dying before 5 is complete: nothing happened, the transaction aborts, the next owner reads the records again.
Dying after 5: the records never come again; the states between P and C are computed again, silently (8).
Dying in 6: the script ran or it did not; P says which. Kafka is the truth, Redis a checkpoint of it: P <= C.

Steps 1 to 4 of a micro-batch overlap step 5 of the one before: they read its states from `Partition.pending`. Should
that commit fail, the partition is dropped, or the process ends, and what was scored on top of it goes with it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from faust.types import TP

from model import InferenceEngine
from worker.errors import RecordError
from worker.kafka.microbatch import MicroBatch
from worker.kafka.producer import FencedError
from worker.monitoring.health import Health
from worker.monitoring.metrics import Metrics
from worker.ownership.manager import Keeper, RedisAwayError
from worker.process import CrashPoints, die
from worker.processing.scoring import Reader, Slice
from worker.settings import Settings
from worker.state.store import Standing, StateStore


class Pipeline:
    """Takes micro-batches through steps 1 to 5."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of the worker, each made by the app
        self,
        settings: Settings,
        engine: InferenceEngine,
        store: StateStore,
        keeper: Keeper,
        metrics: Metrics,
        health: Health,
        crash_points: CrashPoints,
    ) -> None:
        self._settings = settings
        self._store = store
        self._keeper = keeper
        self._metrics = metrics
        self._health = health
        self._crash = crash_points.reach
        self._reader = Reader(settings, engine)
        self.last_timestamp_ms: float | None = None  # of the last record that is done
        self._scoring = ThreadPoolExecutor(max_workers=1, thread_name_prefix="score")

    async def process(self, batch: MicroBatch, done: Any) -> None:
        """Take `batch` to its commit; returns when that has begun. `done(records)` is called when it is over."""
        await batch.fill(self._settings.max_wait_ms / 1000)
        keeper = self._keeper
        async with keeper.steps:
            # not before: a rebuild that held the steps has dropped what was fetched ahead of it
            records = batch.take()
            try:
                await keeper.recover_lost()
                self._metrics.batch(batch.num_records, time.monotonic() - batch.created_s)
                slices = await self._read_and_score(records)
                await keeper.settled()
                keeper.committing = asyncio.create_task(self._commit_all(slices, records, done))
            except RedisAwayError:
                done(records)

    async def _read_and_score(self, records: Mapping[TP, list[Any]]) -> list[Slice]:
        self._crash("taken")
        with self._metrics.stage("decode"):
            slices = self._decode(records)
        self._crash("decoded")
        with self._metrics.stage("load"):
            await asyncio.gather(*(self._load(part) for part in slices))
        slices = [part for part in slices if part.items]
        self._crash("loaded")
        with self._metrics.stage("score"):
            await self._score(slices)
        self._crash("scored")
        now_ms = time.time() * 1000
        for part in slices:
            self._reader.conclude(part, now_ms)
            part.partition.pending.update(part.changed)
            # here, where no step is between knowing a stream and using its state
            part.partition.evict(self._settings.max_cached_streams // len(self._keeper.partitions))
        return slices

    def _decode(self, records: Mapping[TP, list[Any]]) -> list[Slice]:
        """Step 2, of what is owned here and was not taken before (a fetch may cross a seek)."""
        slices = []
        for tp, of_partition in records.items():
            partition = self._keeper.partitions.get(tp)
            if partition is None or not partition.owned:
                continue
            new = [record for record in of_partition if record.offset >= partition.taken]
            if new:
                partition.taken = new[-1].offset + 1
                slices.append(Slice(partition, self._reader.decode(new)))
        return slices

    async def _load(self, part: Slice) -> None:
        """Step 3. Where Redis lost the states, the slice is emptied: its records come again after the rebuild."""
        partition = part.partition
        streams = part.streams
        unknown = [stream for stream in streams if not partition.knows(stream)]
        self._metrics.cache(hits=len(streams) - len(unknown), misses=len(unknown))
        if not unknown:
            return
        standing, entries = await self._keeper.ask_redis(lambda: self._store.read(partition, unknown))
        if standing is Standing.OK:
            partition.remember(zip(unknown, entries, strict=True))
            return
        part.items.clear()
        if standing is Standing.FENCED:
            self._keeper.drop(partition, "redis")
        else:
            await self._keeper.recover(partition)

    async def _score(self, slices: list[Slice]) -> None:
        """Step 4."""
        planned = [pair for part in slices for pair in self._reader.requests(part)]
        requests = [request for _, request in planned]
        answers = await asyncio.get_running_loop().run_in_executor(self._scoring, self._reader.score, requests)
        for (item, _), answer in zip(planned, answers, strict=True):
            if isinstance(answer, RecordError):
                item.error = answer
            else:
                item.result = answer

    async def _commit_all(self, slices: list[Slice], records: Mapping[TP, list[Any]], done: Any) -> None:
        """Step 5. An error other than a fence leaves a commit undecided: the process ends and takes over anew."""
        try:
            with self._metrics.stage("commit"):
                await asyncio.gather(*(self._commit(part) for part in slices))
        except BaseException as error:
            die(error)
        self._health.progress()
        done(records)

    async def _commit(self, part: Slice) -> None:
        partition = part.partition
        if not partition.owned:
            return
        if part.next_offset > partition.committed:
            try:
                await partition.publisher.publish(part.outputs, part.next_offset)
            except FencedError:
                self._keeper.drop(partition, "kafka")
                return
            self._crash("committed")
        else:
            self._crash("replayed")
        self._count(part)
        partition.apply(part.changed, part.next_offset)
        self._crash("applied")
        if self._settings.flush_interval_s == 0:
            await self._keeper.flush(partition)
        await self._keeper.flush_down(partition)

    def _count(self, part: Slice) -> None:
        """Into the metrics, what this slice did."""
        metrics, topic = self._metrics, part.partition.tp.topic
        now_ms = time.time() * 1000
        new = [item for item in part.items if not part.is_silent(item)]
        scored = [item for item in new if item.result is not None]
        metrics.committed(
            topic,
            [item.result for item in scored if item.result is not None],
            [(now_ms - item.record.timestamp) / 1000 for item in scored],
        )
        self.last_timestamp_ms = part.items[-1].record.timestamp
        metrics.dead_letters(topic, [item.error.reason for item in new if item.error is not None])
        metrics.erased(topic, sum(item.text is None and item.error is None for item in new))
        metrics.shifts(part.num_shifts)
        metrics.rebuilt(len(part.items) - len(new))
        for reason in part.resets:
            metrics.state_reset(reason)
