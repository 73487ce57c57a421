"""A micro-batch, in numbered steps.

    1  take     whole per-partition batches, until `max_batch` records or `max_wait_ms`
    2  decode   a record that cannot be scored becomes a dead letter; its neighbours go on
    3  load     the states of the batch's streams: from memory, else one read to Redis
    4  score    in a thread: texts side by side, then each stream's texts in offset order
    5  commit   per partition one Kafka transaction: events, shifts, dead letters and the group's new offset C
    6  flush    per partition one Redis script: changed states and their position P; it may lag behind the commit
    7  take over, 8  rebuild: worker/ownership/takeover.py

Dying before 5 is complete: nothing happened, the transaction aborts, the next owner reads the records again.
Dying after 5: the records never come again; the states between P and C are computed again, without publishing (8).
Dying in 6: the script ran or it did not; P says which. Kafka is the truth, Redis a checkpoint of it: P <= C.

Steps 1 to 4 of a micro-batch overlap step 5 of the one before: they see its states, which are staged in the partition.
Should that commit fail, the partition is dropped, or the process ends, and what was scored on top of it goes with it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from model import InferenceEngine
from worker.errors import RecordError
from worker.kafka.microbatch import MicroBatch, Records
from worker.kafka.producer import FencedError
from worker.kafka.transaction import ExpelledError, GoneError, GroupOffset
from worker.monitoring.health import Health
from worker.monitoring.metrics import Metrics
from worker.ownership.checkpointer import Checkpointer, RedisAwayError
from worker.ownership.manager import PartitionManager
from worker.ownership.partition import Partition
from worker.ownership.processing_lock import ProcessingLock
from worker.ownership.publisher import Outputs
from worker.process import CrashPoints, die
from worker.processing.pacing import Pacing
from worker.processing.scoring import Scorer, Slice
from worker.records.types import TopicPartition
from worker.settings import Settings
from worker.state.store import Verdict


class RecordSource(Protocol):
    """Where the records come from."""

    def done(self, records: Records) -> None:
        """These records are over, one way or another: there is room for as many."""

    async def reseek(self) -> None:
        """Go to the manager's positions; what was fetched before and not taken is dropped, and fetched again."""

    def idle_positions(self) -> Mapping[TopicPartition, int]:
        """Where the consumer stands in partitions of which nothing is in flight."""


class Pipeline:
    """Takes micro-batches through steps 1 to 5, and all partitions through step 6 now and then."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of the worker, each made by the app
        self,
        settings: Settings,
        engine: InferenceEngine,
        source: RecordSource,
        manager: PartitionManager,
        checkpointer: Checkpointer,
        lock: ProcessingLock,
        metrics: Metrics,
        health: Health,
        crash_points: CrashPoints,
    ) -> None:
        self._settings = settings
        self._source = source
        self._manager = manager
        self._checkpointer = checkpointer
        self._lock = lock
        self._metrics = metrics
        self._health = health
        self._crash = crash_points.reach
        self._pacing = Pacing(settings.max_wait_ms / 1000)
        self._scorer = Scorer(settings, engine)
        self._scoring = ThreadPoolExecutor(max_workers=1, thread_name_prefix="score")
        self._last_timestamp_ms: float | None = None

    @property
    def last_timestamp_ms(self) -> float | None:
        """The timestamp of the last record that is done; None before the first."""
        return self._last_timestamp_ms

    async def process(self, batch: MicroBatch) -> None:
        """Take `batch` to its commit, and return when that has begun."""
        await batch.fill(self._pacing.wait_s(time.monotonic()))
        async with self._lock:
            records: Records = {}
            try:
                await self._recover_lost()
                # Not before: a rebuild has dropped what was fetched ahead of it, and goes back to earlier records.
                records = batch.take()
                self._metrics.batch(batch.num_records, time.monotonic() - batch.created_s)
                slices = await self._score_records(records)
                await self._lock.settled()
                self._lock.start_commit(self._commit_all(slices, records))
            except (RedisAwayError, ExpelledError) as error:
                if isinstance(error, ExpelledError):
                    self._manager.on_refused(error, "redis")
                self._source.done(records or batch.take())

    async def flush(self) -> None:
        """Step 6 for every owned partition, and recovery of those whose states Redis lost."""
        partitions = list(self._manager.partitions.values())
        await self._checkpointer.flush_all(partitions)
        if any(partition.lost for partition in partitions):
            try:
                async with self._lock:
                    await self._recover_lost()
            except ExpelledError as error:
                self._manager.on_refused(error, "redis")
            except RedisAwayError:
                return

    async def _recover_lost(self) -> None:
        if await self._checkpointer.recover_lost(list(self._manager.partitions.values())):
            await self._source.reseek()

    async def _score_records(self, records: Records) -> list[Slice]:
        """Steps 2 to 4."""
        self._crash("taken")
        with self._metrics.stage("decode"):
            slices = self._decode(records)
        self._crash("decoded")
        with self._metrics.stage("load"):
            await asyncio.gather(*(self._load(work) for work in slices))
        slices = [work for work in slices if work.items]
        self._crash("loaded")
        with self._metrics.stage("score"):
            await self._score(slices)
        self._crash("scored")
        now_ms = time.time() * 1000
        for work in slices:
            self._scorer.conclude(work, now_ms)
            work.partition.stage(work.changed)
            # Here, where no step is between knowing a stream and using its state.
            work.partition.evict(self._settings.max_cached_streams // len(self._manager.partitions))
        return slices

    def _decode(self, records: Records) -> list[Slice]:
        """Step 2, of what is owned here and was not taken before."""
        slices = []
        for tp, of_partition in records.items():
            partition = self._manager.partitions.get(tp)
            if partition is not None and partition.owned and (new := partition.take(of_partition)):
                slices.append(Slice(partition, self._scorer.decode(new)))
        return slices

    async def _load(self, work: Slice) -> None:
        """Step 3. Where states have to be rebuilt, the slice is emptied: its records come again."""
        partition, streams = work.partition, work.streams
        unknown = [stream for stream in streams if not partition.knows(stream)]
        self._metrics.cache(hits=len(streams) - len(unknown), misses=len(unknown))
        while unknown:
            verdict, entries = await self._checkpointer.read(partition, unknown)
            if verdict is Verdict.OK:
                partition.remember(zip(unknown, entries, strict=True))
                return
            if await self._recover(partition) or not partition.owned:
                work.items.clear()
                return
            unknown = [stream for stream in streams if not partition.knows(stream)]

    async def _recover(self, partition: Partition) -> bool:
        """Answers whether the partition went back in its log."""
        goes_back = await self._checkpointer.recover(partition)
        if goes_back:
            await self._source.reseek()
        return goes_back

    async def _score(self, slices: list[Slice]) -> None:
        """Step 4."""
        planned = [pair for work in slices for pair in self._scorer.plan(work)]
        requests = [request for _, request in planned]
        answers = await asyncio.get_running_loop().run_in_executor(self._scoring, self._scorer.score, requests)
        for (item, _), answer in zip(planned, answers, strict=True):
            if isinstance(answer, RecordError):
                item.error = answer
            else:
                item.result = answer

    async def _commit_all(self, slices: list[Slice], records: Records) -> None:
        """Step 5. An error other than a refusal leaves a commit undecided: the process ends and takes over again."""
        began_s = time.monotonic()
        self._pacing.commit_began(began_s)
        try:
            with self._metrics.stage("commit"):
                await self._commit(slices)
        except BaseException as error:
            die(error)
        ended_s = time.monotonic()
        self._pacing.commit_ended(ended_s, ended_s - began_s)
        self._health.progress()
        self._source.done(records)

    async def _commit(self, slices: list[Slice]) -> None:
        new = [work for work in slices if work.next_offset > work.partition.committed]
        if new:
            offsets = {work.partition: work.next_offset for work in new}
            await self._publish(offsets, {work.partition.tp: work.outputs for work in new})
            self._crash("committed")
        if len(new) < len(slices):
            self._crash("replayed")
        done = [work for work in slices if work.partition.owned]
        for work in done:
            self._count(work)
            work.partition.apply(work.changed, work.next_offset)
        self._crash("applied")
        if self._settings.flush_interval_s == 0:
            await self._checkpointer.flush_all([work.partition for work in done])
        for work in done:
            await self._checkpointer.flush_down(work.partition)

    async def _publish(self, offsets: Mapping[Partition, int], outputs: Outputs) -> None:
        """In one transaction, what is still owned of `offsets` and `outputs`; what is refused is dropped."""
        while owned := {partition: offset for partition, offset in offsets.items() if partition.owned}:
            try:
                publisher = next(iter(owned)).publisher
                await publisher.publish(
                    {partition.tp: outputs[partition.tp] for partition in owned if partition.tp in outputs},
                    {one.tp: GroupOffset(offset, one.topic.topic_id) for one, offset in owned.items()},
                )
            except GoneError as error:
                self._manager.on_gone(error.tps)
            except FencedError as error:
                self._manager.on_refused(error, "kafka")
            else:
                return

    async def commit_positions(self) -> None:
        """Step 10: where nothing is left to do, move the group's offset behind what holds no records.

        Transaction markers of producers upstream lie there, and whatever a log that was cut does not hold any more.
        """
        async with self._lock:
            await self._lock.settled()
            offsets = {
                partition: max(position, partition.committed)
                for tp, position in self._source.idle_positions().items()
                if (partition := self._manager.partitions.get(tp)) is not None and partition.is_done
            }
            behind = {one: to for one, to in offsets.items() if to > one.committed or one.offset_is_behind}
            if not behind:
                return
            try:
                await self._publish(behind, {})
            except BaseException as error:
                die(error)
            for partition, offset in behind.items():
                if partition.owned:
                    partition.skip_to(offset)

    def _count(self, work: Slice) -> None:
        """Into the metrics, what this slice did."""
        metrics, topic = self._metrics, work.partition.tp.topic
        now_ms = time.time() * 1000
        new = [item for item in work.items if not work.is_replayed(item)]
        scored = [(item, item.result) for item in new if item.result is not None]
        metrics.committed(
            topic, [result for _, result in scored], [(now_ms - item.record.timestamp) / 1000 for item, _ in scored]
        )
        self._last_timestamp_ms = work.items[-1].record.timestamp
        metrics.dead_letters(topic, [item.error.reason for item in new if item.error is not None])
        metrics.erased(topic, sum(item.text is None and item.error is None for item in new))
        metrics.shifts(work.num_shifts)
        metrics.rebuilt(len(work.items) - len(new))
        for reason in work.resets:
            metrics.state_reset(reason)
