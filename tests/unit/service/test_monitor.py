"""What the monitor reports, and when `--until-end` may stop. The servers are fakes."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.factories.partitions import TOPIC, new_entry, new_observers, new_partition, take
from tests.factories.records import TWEETS
from tests.metric_names import value_of
from worker.errors import DependencyError
from worker.kafka.group import GroupOffsets
from worker.kafka.group_offsets import GroupOffset
from worker.ownership.partition import Partition
from worker.records.types import TopicPartition
from worker.service import monitor as monitor_module
from worker.service.monitor import Monitor
from worker.settings import load_settings

SECOND = TopicPartition("tweets", 1)
AWAY = DependencyError("Kafka", "here", "does not answer", "Start it")


class FakeConsumer:
    """A consumer that stands at `positions`, where it is not in flight."""

    def __init__(self) -> None:
        self.positions: dict[TopicPartition, tuple[int, int]] = {}
        self.in_flight = SimpleNamespace(num_records=0, num_bytes=0)
        self.flow_active = True
        self.error: Exception | None = None

    def idle_positions(self) -> dict[TopicPartition, int]:
        return {} if self.in_flight.num_records else {tp: position for tp, (position, _) in self.positions.items()}

    async def ask_brokers(self) -> None:
        if self.error is not None:
            raise self.error


class FakeLog:
    """Two partitions of tweets that end at 5."""

    error: Exception | None = None

    async def topic_ids(self, names: Collection[str]) -> dict[str, str]:
        if self.error is not None:
            raise self.error
        return dict.fromkeys(names, TOPIC.topic_id)

    async def partition_counts(self, names: Collection[str]) -> dict[str, int]:
        return dict.fromkeys(names, 2)

    async def ends(self, tps: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(tps, 5)


class Scene:
    """A monitor of a worker that owns `partitions`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *partitions: Partition) -> None:
        self.log, self.consumer = FakeLog(), FakeConsumer()
        self.group_offsets: dict[TopicPartition, GroupOffset | None] = {}
        self.num_asked = self.num_skips = 0
        self.looked_at: list[dict[str, str]] = []
        self.store_error: Exception | None = None
        monkeypatch.setattr(monitor_module, "Log", lambda *_: self.log)
        monkeypatch.setattr(monitor_module, "Group", lambda *_: self)
        observers = new_observers()
        self.metrics, self.health = observers.metrics, observers.health
        self.partitions = {partition.tp: partition for partition in partitions}
        manager: Any = SimpleNamespace(partitions=self.partitions, look_at_topics=self.looked_at.append)
        any_of: Any = SimpleNamespace(consumer=self.consumer)
        pipeline: Any = SimpleNamespace(skip=self.skip, last_timestamp_ms=None)
        store: Any = SimpleNamespace(probe=self.probe)
        self.monitor = Monitor(load_settings(topics="tweets"), any_of, any_of, manager, pipeline, store, observers)

    async def offsets(self, tps: Collection[TopicPartition]) -> GroupOffsets:
        self.num_asked += 1
        return GroupOffsets({tp: self.group_offsets.get(tp) for tp in tps}, set())

    async def skip(self) -> None:
        self.num_skips += 1

    async def probe(self) -> None:
        if self.store_error is not None:
            raise self.store_error

    def look(self) -> None:
        asyncio.run(self.monitor.look())

    def has_reached(self, end: int = 5, *tps: TopicPartition) -> bool:
        return asyncio.run(self.monitor.has_reached(dict.fromkeys(tps or [TWEETS], end)))


def partition_at(committed: int, taken: int | None = None, **changes: Any) -> Partition:
    """A partition with records up to `committed` done, and up to `taken` under way."""
    partition = new_partition(**changes)
    for offset in {committed, taken or committed} - {0}:
        take(partition, offset)
    if committed:
        partition.apply({"a": new_entry()}, committed)
    return partition


# Until the end


@pytest.mark.parametrize(("committed", "expected"), [(0, False), (4, False), (5, True)])
def test_the_end_is_reached_once_its_last_record_is_committed(
    monkeypatch: pytest.MonkeyPatch, committed: int, expected: bool
) -> None:
    scene = Scene(monkeypatch, partition_at(committed, taken=5))
    scene.consumer.positions = {TWEETS: (5, 5)}
    assert scene.has_reached() is expected


def test_records_that_were_only_fetched_are_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, new_partition())
    scene.consumer.positions, scene.consumer.in_flight = {TWEETS: (5, 5)}, SimpleNamespace(num_records=5, num_bytes=500)
    assert not scene.has_reached()


@pytest.mark.parametrize(("position", "expected"), [(5, True), (4, False)])
def test_markers_at_the_end_that_no_record_reaches_are_passed(
    monkeypatch: pytest.MonkeyPatch, position: int, expected: bool
) -> None:
    scene = Scene(monkeypatch, partition_at(4))
    scene.consumer.positions = {TWEETS: (position, 5)}
    assert scene.has_reached() is expected


def test_markers_are_no_end_while_states_are_rebuilt(monkeypatch: pytest.MonkeyPatch) -> None:
    partition = new_partition(committed=4)
    take(partition, 2)
    scene = Scene(monkeypatch, partition)
    scene.consumer.positions = {TWEETS: (5, 5)}
    assert not scene.has_reached()


def test_an_empty_partition_is_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Scene(monkeypatch, new_partition()).has_reached(0)


@pytest.mark.parametrize(
    ("offset", "expected"), [(None, False), (GroupOffset(4), False), (GroupOffset(5), True), (GroupOffset(6), True)]
)
def test_what_others_of_the_group_own_is_done_when_their_offset_is_at_the_end(
    monkeypatch: pytest.MonkeyPatch, offset: GroupOffset | None, expected: bool
) -> None:
    scene = Scene(monkeypatch, partition_at(5))
    scene.group_offsets = {SECOND: offset}
    assert scene.has_reached(5, TWEETS, SECOND) is expected


def test_the_group_is_not_asked_before_everything_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, partition_at(4))
    assert not scene.has_reached(5, TWEETS, SECOND)
    assert scene.num_asked == 0


def test_empty_partitions_of_others_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Scene(monkeypatch).has_reached(0, TWEETS, SECOND)


def test_the_end_is_that_of_every_partition_of_the_input_topics(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = asyncio.run(Scene(monkeypatch).monitor.read_ends())
    assert ends == {TWEETS: 5, SECOND: 5}


# Looks


def test_a_look_reports_what_is_in_flight_and_how_far_behind_the_worker_is(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, partition_at(3, taken=5))
    scene.consumer.positions, scene.consumer.in_flight = {TWEETS: (5, 9)}, SimpleNamespace(num_records=2, num_bytes=200)
    scene.look()
    assert value_of(scene.metrics, "sentiment_lag_records", topic="tweets", partition="0") == 6
    assert value_of(scene.metrics, "sentiment_inflight_records") == 2


def test_markers_at_the_end_of_a_log_are_no_lag(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, partition_at(3))
    scene.consumer.positions = {TWEETS: (5, 5)}
    scene.look()
    assert value_of(scene.metrics, "sentiment_lag_records", topic="tweets", partition="0") == 0


def test_a_look_at_the_topics_is_handed_to_the_manager_and_idle_positions_are_committed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene(monkeypatch)
    scene.look()
    assert scene.looked_at == [{"tweets": TOPIC.topic_id}]
    assert scene.num_skips == 1


def test_topics_that_cannot_be_looked_at_are_taken_for_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    scene.log.error = AWAY
    scene.look()
    assert scene.looked_at == []
    assert scene.num_skips == 1


@pytest.mark.parametrize(
    ("kafka", "redis"),
    [(None, None), (KafkaConnectionError("gone"), None), (None, RedisConnectionError("gone")), (OSError(), OSError())],
)
def test_a_server_that_is_away_is_reported_and_no_error(
    monkeypatch: pytest.MonkeyPatch, kafka: Exception | None, redis: Exception | None
) -> None:
    scene = Scene(monkeypatch)
    answered: dict[str, bool] = {}
    monkeypatch.setattr(scene.health, "kafka_answered", lambda *, well: answered.update(kafka=well))
    monkeypatch.setattr(scene.health, "redis_answered", lambda *, well: answered.update(redis=well))
    scene.consumer.error, scene.store_error = kafka, redis
    scene.look()
    assert answered == {"kafka": kafka is None, "redis": redis is None}
