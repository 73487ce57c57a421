"""What is sent in a transaction and what its errors mean, with a fake client; the real one is in tests/integration."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError, ProducerFenced, UnknownTopicOrPartitionError

from tests.factories import TWEETS
from worker.errors import DependencyError, UndecidedCommitError
from worker.kafka import producer as producer_module
from worker.kafka.producer import (
    AtLeastOnceProducer,
    ExactlyOnceProducer,
    FencedError,
    ProducerRecord,
    TransactionalProducer,
)
from worker.process import CrashPoints
from worker.records.types import OutputRecord, TopicPartition
from worker.settings import load_settings

BOUND_S = 60
OUTPUTS = [
    OutputRecord("sentiment.events", b"a", b"1", []),
    OutputRecord("sentiment.events", b"b", b"2", [("h", b"x")]),
]


class FakeBatch:
    """Takes `room` records."""

    room = 100

    def __init__(self) -> None:
        self.records: list[tuple[bytes | None, bytes | None, int | None]] = []

    def append(self, *, key: bytes | None, value: bytes | None, timestamp: int | None, headers: Any) -> object:
        if len(self.records) >= self.room:
            return None
        self.records.append((key, value, timestamp))
        return object()


class FakeClient:
    """An AIOKafkaProducer that notes its calls; `errors` by the name of the call."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.calls: list[Any] = []
        self.errors: dict[str, Exception] = {}

    def note(self, name: str, *arguments: Any) -> None:
        self.calls.append((name, *arguments))
        if name in self.errors:
            raise self.errors[name]

    async def start(self) -> None:
        self.note("start")

    async def stop(self) -> None:
        self.note("stop")

    async def begin_transaction(self) -> None:
        self.note("begin")

    async def commit_transaction(self) -> None:
        self.note("commit")

    async def send_offsets_to_transaction(self, offsets: Any, group: str) -> None:
        self.note("offsets", offsets, group)

    async def partitions_for(self, topic: str) -> set[int]:
        self.note("partitions_for", topic)
        return {0, 1, 2}

    def create_batch(self) -> FakeBatch:
        return FakeBatch()

    async def send_batch(self, batch: FakeBatch, topic: str, partition: int) -> Any:
        self.note("send", topic, partition, batch.records)

        async def deliver() -> None:
            self.note("delivered", topic, partition)

        return asyncio.create_task(deliver())


@pytest.fixture(autouse=True)
def fake_client(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(producer_module, "AIOKafkaProducer", FakeClient)
    monkeypatch.setattr(FakeBatch, "room", 100)
    yield


def run(call: Any) -> Any:
    return asyncio.run(asyncio.wait_for(call, BOUND_S))


def exactly_once(tp: TopicPartition = TWEETS) -> tuple[ExactlyOnceProducer, FakeClient]:
    producer = ExactlyOnceProducer(load_settings(), tp, CrashPoints(None))
    return producer, producer._client


def test_events_are_delivered_before_the_offset_goes_in_and_the_commit_is_last() -> None:
    producer, client = exactly_once()
    run(producer.publish(OUTPUTS, 7))
    names = [name for name, *_ in client.calls]
    assert names == ["begin", "partitions_for", "send", "delivered", "offsets", "commit"]
    assert client.calls[-2] == ("offsets", {TWEETS: 7}, "sentiment")
    assert client.options["transactional_id"] == "sentiment-tweets-0"


def test_records_of_one_partition_are_one_batch_in_their_order() -> None:
    producer, client = exactly_once()
    run(producer.publish(OUTPUTS, 7))
    (sent,) = [call for call in client.calls if call[0] == "send"]
    assert sent == ("send", "sentiment.events", 0, [(b"a", b"1", None), (b"b", b"2", None)])


def test_a_batch_that_is_full_is_sent_and_the_next_one_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeBatch, "room", 1)
    producer, client = exactly_once()
    run(producer.publish(OUTPUTS, 7))
    sent = [call[3] for call in client.calls if call[0] == "send"]
    assert sent == [[(b"a", b"1", None)], [(b"b", b"2", None)]]


def test_the_output_partition_is_that_of_the_input_modulo_their_number() -> None:
    producer, client = exactly_once(TopicPartition("tweets", 7))
    run(producer.publish(OUTPUTS, 1))
    assert [call[2] for call in client.calls if call[0] == "send"] == [7 % 3]


def test_the_number_of_partitions_is_asked_once() -> None:
    producer, client = exactly_once()
    run(producer.publish(OUTPUTS, 7))
    run(producer.publish(OUTPUTS, 8))
    assert [name for name, *_ in client.calls].count("partitions_for") == 1


@pytest.mark.parametrize("call", ["begin", "delivered", "offsets", "commit"])
def test_a_fenced_producer_is_told_apart(call: str) -> None:
    producer, client = exactly_once()
    client.errors[call] = ProducerFenced()
    with pytest.raises(FencedError):
        run(producer.publish(OUTPUTS, 7))


@pytest.mark.parametrize("call", ["begin", "delivered", "offsets", "commit"])
@pytest.mark.parametrize("error", [KafkaError("gone"), TimeoutError()], ids=["refused", "not answered"])
def test_any_other_error_leaves_the_commit_undecided(call: str, error: Exception) -> None:
    producer, client = exactly_once()
    client.errors[call] = error
    with pytest.raises(UndecidedCommitError, match="tweets-0 up to offset 7"):
        run(producer.publish(OUTPUTS, 7))


def test_a_failed_delivery_never_lets_its_offset_in() -> None:
    producer, client = exactly_once()
    client.errors["delivered"] = KafkaError("message too large")
    with pytest.raises(UndecidedCommitError):
        run(producer.publish(OUTPUTS, 7))
    assert not {"offsets", "commit"} & {name for name, *_ in client.calls}


def test_at_least_once_commits_the_offset_after_the_events() -> None:
    committed: list[tuple[TopicPartition, int]] = []

    async def commit_offset(tp: TopicPartition, offset: int) -> None:
        client.note("committed")
        committed.append((tp, offset))

    producer = AtLeastOnceProducer(load_settings(), TWEETS, CrashPoints(None), commit_offset)
    client: Any = producer._client
    run(producer.publish(OUTPUTS, 7))
    assert [name for name, *_ in client.calls][-2:] == ["delivered", "committed"]
    assert committed == [(TWEETS, 7)]
    assert client.options["enable_idempotence"]


def test_at_least_once_commits_nothing_after_a_failed_delivery() -> None:
    async def commit_offset(*_: Any) -> None:
        raise AssertionError("committed")

    producer = AtLeastOnceProducer(load_settings(), TWEETS, CrashPoints(None), commit_offset)
    producer._client.errors["delivered"] = KafkaError("message too large")
    with pytest.raises(UndecidedCommitError):
        run(producer.publish(OUTPUTS, 7))


def test_a_kafka_that_is_away_at_the_start_is_named_and_the_connection_closed() -> None:
    producer, client = exactly_once()
    client.errors["start"] = KafkaConnectionError("no broker")
    with pytest.raises(DependencyError, match="no broker"):
        run(producer.start())
    assert client.calls == [("start",), ("stop",)]


def test_a_connection_that_does_not_close_is_left_to_the_end_of_the_process() -> None:
    producer, client = exactly_once()
    client.errors["stop"] = KafkaError("already closed")
    run(producer.stop())


def test_a_redriven_record_keeps_its_partition_and_its_time() -> None:
    producer = TransactionalProducer(load_settings(), "redrive", CrashPoints(None))
    client: Any = producer._client
    run(producer.commit([ProducerRecord("tweets", 2, None, None, [], 12)], {TWEETS: 1}, "redrive"))
    assert ("send", "tweets", 2, [(None, None, 12)]) in client.calls


def test_a_topic_that_is_not_there_is_an_error_of_its_own() -> None:
    producer, client = exactly_once()
    client.errors["partitions_for"] = UnknownTopicOrPartitionError()
    with pytest.raises(UnknownTopicOrPartitionError):
        run(producer.partitions_for("nowhere"))
