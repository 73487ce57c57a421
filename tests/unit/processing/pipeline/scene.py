"""A pipeline with a real small engine, and fakes for Kafka and Redis around it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any

from model import InferenceEngine
from tests.factories.fake_store import FakeStore
from tests.factories.partitions import MEMBERSHIP, FakePublisher, new_observers
from tests.factories.records import Record, text_record
from worker.kafka.producer import ProducerRecord, TooLargeError
from worker.kafka.transport.assignment import Assignment
from worker.kafka.transport.microbatch import MicroBatch, Pacing, Records
from worker.monitoring.tracing.tracing import NO_TRACING, Tracing
from worker.ownership.checkpointer import Checkpointer
from worker.ownership.manager import PartitionManager
from worker.ownership.partition import Partition
from worker.ownership.processing_lock import ProcessingLock
from worker.processing.pipeline import Pipeline
from worker.records.types import OutputRecord, TopicPartition
from worker.settings import load_settings
from worker.state.claims import Fence

BOUND_S = 60
SECOND = TopicPartition("tweets", 1)
TEXTS = ("great flight", "not good", "terrible service", "today")


class EndedError(Exception):
    """The process would have ended."""


class FakeSource:
    """Notes what is done, and how often the consumer was sent back; idle_at is where it stands, if idle."""

    pacing = Pacing(max_wait_s=0.0)

    def __init__(self) -> None:
        self.num_done = 0
        self.num_seeks = 0
        self.idle_at: dict[TopicPartition, int] = {}

    def done(self, records: Records) -> None:
        self.num_done += sum(map(len, records.values()))

    async def reseek(self) -> None:
        self.num_seeks += 1

    def idle_positions(self) -> dict[TopicPartition, int]:
        return self.idle_at


class FakeTakeOver:
    """Gives partitions, and recovers them without servers; `error` is raised by a recovery."""

    def __init__(self, partitions: Sequence[Partition]) -> None:
        self.partitions = partitions
        self.error: Exception | None = None
        self.unreadable: list[bool] = []

    async def take_over(
        self, tps: Collection[TopicPartition], _: Any
    ) -> AsyncIterator[dict[TopicPartition, Partition]]:
        yield {one.tp: one for one in self.partitions if one.tp in tps}

    async def recover(self, partition: Partition, *, unreadable: bool = False) -> bool:
        self.unreadable.append(unreadable)
        if self.error is not None:
            raise self.error
        fence = Fence("two", "two", None)
        if partition.complete:
            partition.rewrite(fence)
            return False
        partition.reset(fence, 0, partition.committed)
        return True


class FakeGroup:
    """Has expelled this worker."""

    num_asked = 0

    async def is_member(self, _: Any) -> bool:
        self.num_asked += 1
        return False


class SmallTopics(FakePublisher):
    """Topics that take no more than so many bytes a record; nothing is published with what they refuse."""

    def __init__(self, **max_bytes: int) -> None:
        super().__init__()
        self.max_bytes = {f"sentiment.{name}": limit for name, limit in max_bytes.items()}

    async def publish(self, outputs: Any, offsets: Any) -> None:
        sent = [ProducerRecord(topic, 0, *rest) for of_tp in outputs.values() for topic, *rest in of_tp]
        refused = [one for one in sent if one.num_bytes > self.max_bytes.get(one.topic, one.num_bytes)]
        if refused:
            left = [one for one in sent if one not in refused]
            raise TooLargeError(TopicPartition(refused[0].topic, 0), refused, left)
        await super().publish(outputs, offsets)

    def of(self, name: str) -> list[OutputRecord]:
        """What was published to the topic."""
        return [output for output in self.outputs if output.topic == f"sentiment.{name}"]


class Scene:
    """A pipeline that owns `partitions`."""

    def __init__(
        self,
        engine: InferenceEngine,
        *partitions: Partition,
        store: FakeStore | None = None,
        tracing: Tracing = NO_TRACING,
        **flags: Any,
    ) -> None:
        settings = load_settings(max_wait_ms=0, **flags)
        observers = new_observers(tracing)
        self.metrics = observers.metrics
        self.source = FakeSource()
        self.store = store or FakeStore()
        self.lock = ProcessingLock()
        self.tps = frozenset(partition.tp for partition in partitions)
        takeover: Any = FakeTakeOver(partitions)
        self.takeover = takeover
        any_store: Any = self.store
        group: Any = FakeGroup()
        self.group = group
        checkpointer = Checkpointer(settings, any_store, takeover, self.lock, observers)
        self.manager = PartitionManager(
            settings,
            group,
            lambda membership: FakePublisher(membership=membership),
            takeover,
            checkpointer,
            self.lock,
            observers,
        )
        self.pipeline = Pipeline(settings, engine, self.source, self.manager, checkpointer, self.lock, observers)

    async def assign(self) -> None:
        async def reseek() -> None: ...

        self.manager.on_assigned(Assignment(self.tps, MEMBERSHIP, reseek))
        await self.manager.taken_over()

    async def process(self, records: Sequence[Record]) -> None:
        """One micro-batch, until its commit is over."""
        batch = MicroBatch(1000)
        for tp in sorted({TopicPartition(record.topic, record.partition) for record in records}):
            batch.add(tp, [record for record in records if record.partition == tp.partition])
        await self.pipeline.process(batch)
        await self.lock.settled()

    async def skip(self) -> None:
        """Of an idle consumer, as every second."""
        await self.pipeline.skip()

    def run(self, *batches: Sequence[Record]) -> None:
        async def scenario() -> None:
            await self.assign()
            for batch in batches:
                await self.process(batch)

        asyncio.run(asyncio.wait_for(scenario(), BOUND_S))


def texts(count: int, start: int = 0, partition: int = 0) -> list[Record]:
    records = [text_record(start + n, "ab"[n % 2], TEXTS[n % 4]) for n in range(count)]
    for record in records:
        record.partition = partition
    return records


def run(scenario: Any) -> None:
    asyncio.run(asyncio.wait_for(scenario, BOUND_S))


def events(publisher: FakePublisher) -> list[dict[str, Any]]:
    return [json.loads(output.value or b"") for output in publisher.outputs]


def ids(publisher: FakePublisher) -> list[str]:
    return [event["id"] for event in events(publisher)]
