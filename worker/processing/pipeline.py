"""A micro-batch, in numbered steps.

    1  take     whole per-partition batches, until `max_batch` records or as long as commits are slow
    2  decode   a record that cannot be scored becomes a dead letter; its neighbours go on
    3  load     the states of the batch's streams: from memory, else one read to Redis
    4  score    in a thread: texts side by side, then each stream's texts in offset order
    5  commit   one Kafka transaction: events, shifts, dead letters and the group's new offsets C, in the name of this
                member of the group (worker/processing/committer.py)
    6  flush    per partition one Redis script: changed states and their position P; it may lag behind the commit
    7  take over, 8  rebuild, 9  a log that is not the one we knew: worker/ownership/takeover.py
    10 skip     where nothing is left to do, C moves behind transaction markers too

Dying before 5 is complete: nothing happened, the next owner ends the transaction and reads the records again.
Dying after 5: the records never come again; the states between P and C are computed again, without publishing (8).
Dying in 6: the script ran or it did not; P says which. Kafka is the truth, Redis a checkpoint of it: P <= C.

Steps 1 to 4 of a micro-batch overlap step 5 of the one before: they see its states, which are staged in the partition.
Should that commit be refused, the partitions are dropped, and what was scored on top of it goes with them.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from model import InferenceEngine
from worker.errors import RecordError
from worker.kafka.group_offsets import ExpelledError
from worker.kafka.transport.microbatch import MicroBatch, Records
from worker.monitoring.observers import Observers
from worker.monitoring.tracing.tracing import BatchTrace
from worker.ownership.checkpointer import Checkpointer, RedisAwayError
from worker.ownership.manager import PartitionManager
from worker.ownership.partition import Partition
from worker.ownership.processing_lock import ProcessingLock
from worker.processing.committer import Committer, RecordSource
from worker.processing.events import EventWriter
from worker.processing.scoring import Scorer
from worker.processing.slices import Slice
from worker.processing.too_large import TooLargeReplacer
from worker.records.types import EventModel
from worker.settings import Settings
from worker.state.claims import Verdict


class Pipeline:
    """Takes micro-batches through steps 1 to 5, and all partitions through steps 6 and 10 now and then."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of the worker, each made by the app
        self,
        settings: Settings,
        engine: InferenceEngine,
        source: RecordSource,
        manager: PartitionManager,
        checkpointer: Checkpointer,
        lock: ProcessingLock,
        observers: Observers,
    ) -> None:
        self._settings = settings
        self._source = source
        self._manager = manager
        self._checkpointer = checkpointer
        self._lock = lock
        self._metrics = observers.metrics
        self._crash = observers.crash_points.reach
        self._tracing = observers.tracing
        self._pacing = source.pacing
        self._scorer = Scorer(settings, engine)
        self._scoring = ThreadPoolExecutor(max_workers=1, thread_name_prefix="score")
        replacer = TooLargeReplacer(settings, EventWriter(settings, EventModel(engine.name, engine.fingerprint)))
        self._committer = Committer(settings, replacer, source, manager, checkpointer, observers)

    @property
    def last_timestamp_ms(self) -> float | None:
        """The timestamp of the last record that is done; None before the first."""
        return self._committer.last_timestamp_ms

    async def register_schemas(self) -> None:
        """Register the schemas of events and shifts. Raises DependencyError."""
        await asyncio.to_thread(self._scorer.register_schemas)

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
                with self._tracing.micro_batch(records, batch.created_s) as trace:
                    slices = await self._score_records(records, trace)
                    await self._lock.settled()
                    self._lock.start_commit(self._committer.commit(slices, records, trace))
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

    async def _score_records(self, records: Records, trace: BatchTrace) -> list[Slice]:
        """Steps 2 to 4."""
        self._crash("taken")
        with self._metrics.stage("decode"), self._tracing.step("decode"):
            await self._fetch_schemas(records)
            slices = self._decode(records)
        self._crash("decoded")
        with self._metrics.stage("load"), self._tracing.step("load"):
            await asyncio.gather(*(self._load(work) for work in slices))
        slices = [work for work in slices if work.items]
        self._crash("loaded")
        with self._metrics.stage("score"), self._tracing.step("score"):
            await self._score(slices)
        self._crash("scored")
        now_ms = time.time() * 1000
        for work in slices:
            self._scorer.conclude(work, now_ms)
            trace.inject(work)
            work.partition.stage(work.changed)
            # Here, where no step is between knowing a stream and using its state.
            work.partition.evict(self._settings.max_cached_streams // len(self._manager.partitions))
        return slices

    async def _fetch_schemas(self, records: Records) -> None:
        """Fetch the schemas that step 2 needs, off the event loop."""
        ids = {number for tp, batch in records.items() for number in self._scorer.missing_schemas(tp.topic, batch)}
        if ids:
            await asyncio.to_thread(self._scorer.fetch_schemas, ids)

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
            if await self._recover(partition, verdict) or not partition.owned:
                work.items.clear()
                return
            unknown = [stream for stream in streams if not partition.knows(stream)]

    async def _recover(self, partition: Partition, verdict: Verdict) -> bool:
        """Answers whether the partition went back in its log."""
        goes_back = await self._checkpointer.recover(partition, verdict)
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

    async def skip(self) -> None:
        """Step 10, for every owned partition; called once a second."""
        async with self._lock:
            await self._lock.settled()
            await self._committer.skip()
