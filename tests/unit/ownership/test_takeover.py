"""The calls of a take-over and of a rebuild, with fakes for Kafka and Redis; the real ones are in tests/system."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.factories import TWEETS, FakeStore, new_entry, new_observers, new_partition, take
from tests.metric_names import value_of
from worker.errors import DependencyError, OwnershipError
from worker.kafka.assignment import Assignment
from worker.ownership import takeover as takeover_module
from worker.ownership.partition import PARTIAL, Partition
from worker.ownership.takeover import TakeOver
from worker.process import CrashPoints
from worker.records.types import TopicPartition
from worker.settings import load_settings
from worker.state.store import Epoch, Fence

BOUND_S = 60


class FakeProducer:
    """A transactional producer whose number is higher at each start."""

    num_started = 0
    error: Exception | None = None

    def __init__(self, _: Any, tp: TopicPartition, *__: Any) -> None:
        self.tp = tp
        self.producer_number = (0, 0)

    async def start(self) -> None:
        if self.error is not None:
            raise self.error
        FakeProducer.num_started += 1
        self.producer_number = (FakeProducer.num_started, 0)


class FakeLog:
    """What the group and the log say of every partition."""

    answer = SimpleNamespace(committed=None, start=0, lookback=0)

    def __init__(self, _: Any) -> None:
        pass

    async def __aenter__(self) -> FakeLog:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def committed(self, tps: Iterable[Any]) -> Any:
        return dict.fromkeys(tps, self.answer.committed)

    async def starts(self, tps: Iterable[Any]) -> Any:
        return dict.fromkeys(tps, self.answer.start)

    async def since(self, tps: Iterable[Any], _: float) -> Any:
        return dict.fromkeys(tps, self.answer.lookback)


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Kafka's answers; its producers begin at number 1."""
    answer = SimpleNamespace(committed=None, start=0, lookback=0)
    monkeypatch.setattr(FakeLog, "answer", answer)
    monkeypatch.setattr(FakeProducer, "num_started", 0)
    monkeypatch.setattr(FakeProducer, "error", None)
    monkeypatch.setattr(takeover_module, "Log", FakeLog)
    monkeypatch.setattr(takeover_module, "ExactlyOnceProducer", FakeProducer)
    monkeypatch.setattr(takeover_module, "_REDIS_RETRY_S", 0.001)
    return answer


class Scenario:
    """A take-over of tweets-0."""

    def __init__(self, store: Any, **flags: Any) -> None:
        self.metrics, _ = new_observers()
        self.takeover = TakeOver(load_settings(**flags), store, self.metrics, CrashPoints(None))

    def take_over(self) -> Partition:
        async def commit_offset(*_: Any) -> None: ...

        assignment = Assignment(frozenset([TWEETS]), commit_offset)
        owned = asyncio.run(asyncio.wait_for(self.takeover.take_over(assignment, lambda *_: None), BOUND_S))
        return owned[TWEETS]


def flushed_store(position: int) -> FakeStore:
    """A Redis in which an earlier owner left states at `position`."""
    store = FakeStore()
    store.fence = Fence(Epoch(0, 0), "0.0.1", position)
    return store


def test_states_in_redis_are_gone_on_with_under_a_higher_epoch(log: SimpleNamespace) -> None:
    log.committed = 9
    store = flushed_store(position=7)
    partition = Scenario(store).take_over()
    assert (partition.taken, partition.applied, partition.committed, partition.position) == (7, 7, 9, 7)
    assert partition.fence == store.fence == Fence(Epoch(1, 0), "0.0.1", 7)
    assert not partition.complete


def test_without_states_a_partition_begins_complete_and_empty() -> None:
    partition = Scenario(FakeStore()).take_over()
    assert partition.complete
    assert (partition.taken, partition.position) == (0, None)
    assert not partition.has_unknown_past


def test_states_are_rebuilt_under_a_new_lineage_whose_name_says_that_the_past_is_cut(log: SimpleNamespace) -> None:
    log.committed, log.start, log.lookback = 12, 10, 10
    store = flushed_store(position=3)
    partition = Scenario(store).take_over()
    assert (partition.taken, partition.committed) == (10, 12)
    assert partition.has_unknown_past
    assert partition.fence == store.fence
    assert store.fence is not None
    assert store.fence.lineage.endswith(PARTIAL)


def test_an_offset_that_is_gone_is_counted(log: SimpleNamespace) -> None:
    scene = Scenario(flushed_store(position=7))
    assert scene.take_over().committed == 7
    assert value_of(scene.metrics, "sentiment_position_kept_total") == 1


def test_a_newer_owner_in_redis_is_an_error_that_says_what_to_do() -> None:
    store = FakeStore()
    store.fence = Fence(Epoch(99, 0), "99.0.1", 5)
    with pytest.raises(OwnershipError, match=r"\(99, 0\).*delete the keys"):
        Scenario(store).take_over()


def test_a_redis_that_answers_at_the_second_try_is_taken() -> None:
    assert Scenario(FakeStore(RedisConnectionError("away"))).take_over().taken == 0


def test_a_redis_that_stays_away_is_named() -> None:
    store = FakeStore(*[RedisConnectionError("away")] * 10_000)
    with pytest.raises(DependencyError, match="Redis"):
        Scenario(store, session_timeout_s=0.3, heartbeat_interval_s=0.05).take_over()


def test_a_kafka_that_is_away_is_named() -> None:
    FakeProducer.error = KafkaConnectionError("no broker")
    with pytest.raises(DependencyError, match="Kafka"):
        Scenario(FakeStore()).take_over()


def test_at_least_once_takes_its_epoch_from_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    class Plain(FakeProducer):
        pass

    monkeypatch.setattr(takeover_module, "ExactlyOnceProducer", type("Other", (), {}))
    monkeypatch.setattr(takeover_module, "AtLeastOnceProducer", Plain)
    partition = Scenario(flushed_store(position=0), delivery="at_least_once").take_over()
    assert partition.fence.epoch == Epoch(1, 0)


def test_a_rebuild_goes_back_and_begins_a_lineage_of_its_own(log: SimpleNamespace) -> None:
    store = FakeStore()
    scene, partition = Scenario(store), new_partition(position=7, start=7, committed=7)
    assert not asyncio.run(scene.takeover.rebuild(partition))
    assert (partition.taken, partition.committed, partition.position) == (0, 7, None)
    assert partition.fence == store.fence


def test_a_rewrite_keeps_the_states_and_changes_their_lineage() -> None:
    store = FakeStore()
    scene, partition = Scenario(store), new_partition()
    take(partition, 1)
    partition.apply({"a": new_entry()}, 1)
    partition.flushed(partition.snapshot())
    assert not asyncio.run(scene.takeover.rewrite(partition))
    assert partition.fence == store.fence
    assert partition.snapshot().entries.keys() == {"a"}


def test_a_rewrite_that_redis_fences_changes_nothing() -> None:
    store = FakeStore()
    store.fence = Fence(Epoch(99, 0), "99.0.1", 5)
    partition = new_partition()
    before = partition.fence
    assert asyncio.run(Scenario(store).takeover.rewrite(partition))
    assert partition.fence == before
