"""The worker's own steps 2 to 6 in this process: on a real Redis, with a publisher that drops what it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.growth.entries import ENTRIES_AT_ONCE, begin_lineages
from model import InferenceEngine
from tests.factories.partitions import MEMBERSHIP
from worker.kafka.transport.microbatch import MicroBatch, Pacing, Records
from worker.monitoring.health import Health
from worker.monitoring.metrics import Metrics
from worker.monitoring.observers import Observers
from worker.ownership.checkpointer import Checkpointer
from worker.ownership.partition import Partition
from worker.ownership.processing_lock import ProcessingLock
from worker.process import CrashPoints
from worker.processing.pipeline import Pipeline
from worker.records.types import TopicPartition
from worker.settings import Settings
from worker.state.claims import Fence, TopicInfo, Verdict
from worker.state.store import StateStore


class _NoPublisher:
    membership = MEMBERSHIP
    transactional_id = ""

    async def start(self) -> None: ...

    async def publish(self, outputs: object, offsets: object) -> None: ...


class _Source:
    """Records are handed over directly, so nobody waits for room or goes back."""

    pacing = Pacing(max_wait_s=0.0)

    def done(self, records: Records) -> None: ...

    async def reseek(self) -> None:
        raise AssertionError("Redis lost the states while they were measured")

    def idle_positions(self) -> dict[TopicPartition, int]:
        return {}


class _Owned:
    """In place of the manager: the same partitions throughout."""

    def __init__(self) -> None:
        self.partitions: dict[TopicPartition, Partition] = {}


class MicroBatches:
    """A pipeline that owns every partition of its first topic, from the start of a new lineage on."""

    def __init__(self, settings: Settings, engine: InferenceEngine) -> None:
        self.tps = [TopicPartition(settings.topics[0], number) for number in range(settings.partitions)]
        self.store = StateStore(settings, engine.config, engine.fingerprint)
        owned: Any = _Owned()
        self._owned = owned
        self._topic = TopicInfo("", settings.partitions)
        self._lock = ProcessingLock()
        metrics = Metrics(settings.topics)
        observers = Observers(metrics, Health(settings, metrics), CrashPoints(None))
        no_takeover: Any = None
        checkpointer = Checkpointer(settings, self.store, no_takeover, self._lock, observers)
        self._pipeline = Pipeline(settings, engine, _Source(), owned, checkpointer, self._lock, observers)

    @property
    def partitions(self) -> dict[TopicPartition, Partition]:
        """The owned partitions."""
        partitions: dict[TopicPartition, Partition] = self._owned.partitions
        return partitions

    @property
    def offsets(self) -> dict[TopicPartition, int]:
        """The next offset of each partition."""
        return {tp: partition.taken for tp, partition in self.partitions.items()}

    async def own(self) -> None:
        """Claim the partitions, and begin a lineage of each."""
        for tp, fence in (await begin_lineages(self.store, self.tps, self._topic)).items():
            self._reopen(tp, fence, 0)

    async def process(self, records: Mapping[TopicPartition, list[Any]]) -> None:
        """Take records through steps 2 to 6."""
        batch = MicroBatch(sum(map(len, records.values())))
        for tp, of_partition in records.items():
            batch.add(tp, of_partition)
        await self._pipeline.process(batch)
        await self._lock.settled()
        await self._pipeline.flush()

    def forget(self) -> None:
        """Drop every state from memory, all of which Redis has."""
        for tp, partition in self.partitions.items():
            assert partition.is_flushed, f"{partition}: Redis lacks states"
            self._reopen(tp, partition.fence, partition.applied)

    async def load(self, streams: Mapping[TopicPartition, Sequence[str]]) -> None:
        """Read these streams' states from Redis into memory, as step 3 does."""
        for tp, names in streams.items():
            partition = self.partitions[tp]
            for begin in range(0, len(names), ENTRIES_AT_ONCE):
                some = names[begin : begin + ENTRIES_AT_ONCE]
                verdict, entries = await self.store.read(tp, partition.fence, some)
                assert verdict is Verdict.OK, f"{partition}: the states in Redis are of somebody else"
                partition.remember(zip(some, entries, strict=True))

    def _reopen(self, tp: TopicPartition, fence: Fence, offset: int) -> None:
        publisher: Any = _NoPublisher()
        self.partitions[tp] = Partition(tp, publisher, fence, start=offset, committed=offset, topic=self._topic)
