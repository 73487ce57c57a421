"""A micro-batch through its numbered steps, with a real small engine and fakes for Kafka and Redis."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, NoReturn

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from model import InferenceEngine
from tests.factories import TWEETS, FakeProducer, FakeStore, Record, new_observers, new_partition, text_record
from tests.metric_names import value_of
from worker.errors import UndecidedCommitError
from worker.kafka.assignment import Assignment
from worker.kafka.microbatch import MicroBatch, Records
from worker.kafka.producer import FencedError
from worker.ownership.checkpointer import Checkpointer
from worker.ownership.manager import PartitionManager
from worker.ownership.partition import Partition
from worker.ownership.processing_lock import ProcessingLock
from worker.process import CrashPoints
from worker.processing import pipeline as pipeline_module
from worker.processing.pipeline import Pipeline
from worker.records.types import TopicPartition
from worker.settings import load_settings
from worker.state.store import Verdict

BOUND_S = 60
TEXTS = ("great flight", "not good", "terrible service", "today")


class EndedError(Exception):
    """The process would have ended."""


class FakeSource:
    """Notes what is done, and how often the consumer was sent back."""

    def __init__(self) -> None:
        self.num_done = 0
        self.num_seeks = 0

    def done(self, records: Records) -> None:
        self.num_done += sum(map(len, records.values()))

    async def reseek(self) -> None:
        self.num_seeks += 1


class FakeTakeOver:
    """Gives one partition, and recovers it without servers."""

    def __init__(self, partition: Partition) -> None:
        self.partition = partition

    async def take_over(self, _: Assignment, __: Any) -> dict[TopicPartition, Partition]:
        return {self.partition.tp: self.partition}

    async def rebuild(self, partition: Partition) -> bool:
        partition.reset("5.0.2", 0)
        return False

    async def rewrite(self, partition: Partition) -> bool:
        partition.rewrite("5.0.2")
        return False


class Scene:
    """A pipeline that owns `partition`."""

    def __init__(
        self, engine: InferenceEngine, partition: Partition, store: FakeStore | None = None, **flags: Any
    ) -> None:
        settings = load_settings(max_wait_ms=0, **flags)
        self.metrics, health = new_observers()
        self.source = FakeSource()
        self.store = store or FakeStore()
        self.lock = ProcessingLock()
        crash_points = CrashPoints(None)
        takeover: Any = FakeTakeOver(partition)
        any_store: Any = self.store
        observers = (self.metrics, health)
        checkpointer = Checkpointer(settings, any_store, takeover, self.lock, *observers, crash_points)
        self.manager = PartitionManager(settings, takeover, checkpointer, self.lock, *observers)
        self.pipeline = Pipeline(
            settings, engine, self.source, self.manager, checkpointer, self.lock, *observers, crash_points
        )

    async def assign(self) -> None:
        async def commit_offset(*_: Any) -> None: ...

        await self.manager.on_assigned(Assignment(frozenset([TWEETS]), commit_offset))

    async def process(self, records: Sequence[Record]) -> None:
        """One micro-batch, until its commit is over."""
        batch = MicroBatch(1000)
        batch.add(TWEETS, list(records))
        await self.pipeline.process(batch)
        await self.lock.settled()

    def run(self, *batches: Sequence[Record]) -> None:
        async def scenario() -> None:
            await self.assign()
            for batch in batches:
                await self.process(batch)

        asyncio.run(asyncio.wait_for(scenario(), BOUND_S))


@pytest.fixture(autouse=True)
def ended(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Errors that ended the process."""
    errors: list[BaseException] = []

    def end(error: BaseException) -> NoReturn:
        errors.append(error)
        raise EndedError

    monkeypatch.setattr(pipeline_module, "die", end)
    return errors


def texts(count: int, start: int = 0) -> list[Record]:
    return [text_record(start + n, "ab"[n % 2], TEXTS[n % 4]) for n in range(count)]


def ids(producer: FakeProducer) -> list[str]:
    outputs = [output for published, _ in producer.published for output in published]
    return [json.loads(output.value or b"")["id"] for output in outputs]


def test_every_record_of_a_batch_yields_its_event_and_moves_the_offset(tiny_engine: InferenceEngine) -> None:
    producer = FakeProducer()
    partition = new_partition(producer=producer)
    scene = Scene(tiny_engine, partition)
    scene.run(texts(4), texts(3, start=4))
    assert ids(producer) == [f"tweets-0-{n}" for n in range(7)]
    assert [next_offset for _, next_offset in producer.published] == [4, 7]
    assert (partition.taken, partition.applied, partition.committed) == (7, 7, 7)
    assert scene.source.num_done == 7
    assert value_of(scene.metrics, "sentiment_records_total", topic="tweets", outcome="scored") == 7


def test_a_record_that_is_fetched_twice_is_scored_once(tiny_engine: InferenceEngine) -> None:
    producer = FakeProducer()
    scene = Scene(tiny_engine, new_partition(producer=producer))
    scene.run(texts(4), texts(6))
    assert ids(producer) == [f"tweets-0-{n}" for n in range(6)]
    assert scene.source.num_done == 10


def test_records_below_the_commit_are_replayed_without_a_transaction(tiny_engine: InferenceEngine) -> None:
    producer = FakeProducer()
    partition = new_partition(producer=producer, committed=4)
    scene = Scene(tiny_engine, partition)
    scene.run(texts(4))
    assert producer.published == []
    assert partition.applied == 4
    assert value_of(scene.metrics, "sentiment_rebuilt_records_total") == 4


def test_records_of_a_partition_that_is_not_owned_are_left_alone(tiny_engine: InferenceEngine) -> None:
    producer = FakeProducer()
    partition = new_partition(producer=producer)
    partition.drop("redis")
    scene = Scene(tiny_engine, partition)
    scene.run(texts(3))
    assert producer.published == []
    assert partition.taken == 0
    assert scene.source.num_done == 3


def test_a_partition_fenced_in_kafka_is_dropped_and_its_states_stay_as_they_were(tiny_engine: InferenceEngine) -> None:
    dropped: list[str] = []
    partition = new_partition(producer=FakeProducer(FencedError()), dropped=dropped)
    scene = Scene(tiny_engine, partition)
    scene.run(texts(3))
    assert dropped == ["kafka"]
    assert (partition.applied, partition.committed) == (0, 0)
    assert scene.source.num_done == 3


def test_a_commit_that_is_undecided_ends_the_process(tiny_engine: InferenceEngine, ended: list[BaseException]) -> None:
    error = UndecidedCommitError("undecided")
    scene = Scene(tiny_engine, new_partition(producer=FakeProducer(error)))
    with pytest.raises(EndedError):
        scene.run(texts(3))
    assert ended == [error]


def test_states_that_are_not_in_memory_are_read_from_redis(tiny_engine: InferenceEngine) -> None:
    store, first = FakeStore(), new_partition()
    scene = Scene(tiny_engine, first, store, flush_interval_s=0)
    scene.run(texts(4))
    producer = FakeProducer()
    again = new_partition(producer=producer, position=4, start=4, committed=4)
    scene = Scene(tiny_engine, again, store)
    scene.run(texts(2, start=4))
    events = [json.loads(output.value or b"") for output in producer.published[0][0]]
    assert [event["state"]["num_records"] for event in events] == [3, 3]
    assert value_of(scene.metrics, "sentiment_state_cache_total", result="miss") == 2


def test_where_redis_lost_the_states_the_records_wait_for_the_rebuild(tiny_engine: InferenceEngine) -> None:
    producer = FakeProducer()
    partition = new_partition(producer=producer, position=4, start=4, committed=4)
    scene = Scene(tiny_engine, partition, FakeStore(Verdict.LOST))
    scene.run(texts(2, start=4))
    assert producer.published == []
    assert scene.source.num_seeks == 1
    assert (partition.taken, partition.committed) == (0, 4)


def test_a_partition_fenced_in_redis_is_dropped_before_it_is_scored(tiny_engine: InferenceEngine) -> None:
    dropped: list[str] = []
    partition = new_partition(position=4, start=4, committed=4, dropped=dropped)
    Scene(tiny_engine, partition, FakeStore(Verdict.FENCED)).run(texts(2, start=4))
    assert dropped == ["redis"]


def test_a_flush_finds_lost_states_and_writes_them_again(tiny_engine: InferenceEngine) -> None:
    partition = new_partition()
    scene = Scene(tiny_engine, partition, FakeStore(Verdict.LOST))

    async def scenario() -> None:
        await scene.assign()
        await scene.process(texts(2))
        await scene.pipeline.flush()
        scene.store.fence = partition.fence
        await scene.pipeline.flush()

    asyncio.run(asyncio.wait_for(scenario(), BOUND_S))
    assert partition.position == 2
    assert not partition.num_dirty
    assert scene.source.num_seeks == 0


def test_a_batch_that_redis_holds_up_at_a_revocation_is_left_to_the_next_owner(tiny_engine: InferenceEngine) -> None:
    producer = FakeProducer()
    partition = new_partition(producer=producer, position=4, start=4, committed=4)
    scene = Scene(tiny_engine, partition, FakeStore(*[RedisConnectionError("away")] * 100))

    async def scenario() -> None:
        await scene.assign()
        processing = asyncio.create_task(scene.process(texts(2, start=4)))
        await asyncio.sleep(0.05)
        await scene.manager.on_revoked()
        await processing

    asyncio.run(asyncio.wait_for(scenario(), BOUND_S))
    assert producer.published == []
    assert scene.source.num_done == 2
    assert scene.manager.partitions == {}


def test_the_next_batch_is_scored_while_the_one_before_is_committed(
    tiny_engine: InferenceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SlowProducer(FakeProducer):
        async def publish(self, outputs: Any, next_offset: int) -> None:
            await scored.wait()
            await super().publish(outputs, next_offset)

    scored = asyncio.Event()
    producer = SlowProducer()
    scene = Scene(tiny_engine, new_partition(producer=producer))
    settled = scene.lock.settled

    async def settled_after_scoring() -> None:
        # The second batch waits here for the first one's commit: it has been scored by then.
        if value_of(scene.metrics, "sentiment_stage_seconds_count", stage="score") == 2:
            assert producer.published == []
            scored.set()
        await settled()

    monkeypatch.setattr(scene.lock, "settled", settled_after_scoring)

    async def scenario() -> None:
        await scene.assign()
        for start in (0, 2):
            batch = MicroBatch(1000)
            batch.add(TWEETS, list(texts(2, start=start)))
            await scene.pipeline.process(batch)
        await settled()

    asyncio.run(asyncio.wait_for(scenario(), BOUND_S))
    events = [json.loads(o.value or b"") for outputs, _ in producer.published for o in outputs]
    assert [event["state"]["num_records"] for event in events] == [1, 1, 2, 2]


def test_memory_keeps_no_more_streams_than_it_may(tiny_engine: InferenceEngine) -> None:
    partition = new_partition()
    scene = Scene(tiny_engine, partition, flush_interval_s=0, max_cached_streams=10)
    batches = [[text_record(start + n, f"s{start + n}", "great") for n in range(10)] for start in range(0, 40, 10)]
    scene.run(*batches)
    assert partition.num_cached <= 20
    assert not partition.complete
