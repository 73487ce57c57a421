"""What is published under which transactional id, and in whose name; the brokers are scripted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from tests.factories.partitions import MEMBERSHIP
from tests.factories.records import TWEETS
from worker.errors import UndecidedCommitError
from worker.kafka.group_offsets import ExpelledError, GroupOffset
from worker.kafka.producer import BatchProducer, ProducerRecord
from worker.kafka.transaction import TransactionalProducer
from worker.ownership import publisher as publisher_module
from worker.ownership.publisher import AtLeastOncePublisher, ExactlyOncePublisher, Publisher, publisher_factory
from worker.process import CrashPoints
from worker.records.types import OutputRecord, TopicPartition
from worker.settings import load_settings

SEVENTH = TopicPartition("tweets", 7)
OUTPUTS = {
    TWEETS: [OutputRecord("sentiment.events", b"a", b"1", [])],
    SEVENTH: [OutputRecord("sentiment.events", b"b", b"2", [("h", b"x")])],
}
ROUTED = [
    ProducerRecord("sentiment.events", 0, b"a", b"1", []),
    ProducerRecord("sentiment.events", 7, b"b", b"2", [("h", b"x")]),
]
OFFSETS = {TWEETS: GroupOffset(3, "id"), SEVENTH: GroupOffset(5, "id")}


class Calls:
    """What the producers and the group are asked, in order; `errors` by the name of the call."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[tuple[Any, ...]] = []
        self.errors: dict[str, Exception] = {}
        for owner, names in (
            (TransactionalProducer, ("start", "commit")),
            (BatchProducer, ("start", "send")),
            (publisher_module.Group, ("commit",)),
        ):
            for name in names:
                monkeypatch.setattr(owner, name, self.noting(f"{owner.__name__}.{name}"))

    def noting(self, name: str) -> Any:
        async def note(_: Any, *arguments: Any) -> None:
            self.made.append((name, *(arguments if name.startswith("Group") else map(_listed, arguments))))
            if name in self.errors:
                raise self.errors[name]

        return note


def _listed(argument: Any) -> Any:
    return list(argument) if hasattr(argument, "__next__") else argument


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


def new_publisher(**flags: Any) -> Publisher:
    brokers: Any = None
    return publisher_factory(load_settings(**flags), brokers, CrashPoints(None))(MEMBERSHIP)


def publish(publisher: Publisher) -> None:
    asyncio.run(publisher.publish(OUTPUTS, OFFSETS))


def test_every_assignment_has_a_transactional_id_of_its_own() -> None:
    brokers: Any = None
    new = publisher_factory(load_settings(group="g"), brokers, CrashPoints(None))
    assert [new(MEMBERSHIP).transactional_id for _ in range(2)] == ["g:7:member:0", "g:7:member:1"]


def test_outputs_and_offsets_are_one_transaction_in_the_members_name(calls: Calls) -> None:
    publisher = new_publisher()
    assert isinstance(publisher, ExactlyOncePublisher)
    publish(publisher)
    assert calls.made == [("TransactionalProducer.commit", ROUTED, OFFSETS, "sentiment", MEMBERSHIP)]


def test_at_least_once_commits_the_offsets_after_the_events(calls: Calls) -> None:
    publisher = new_publisher(delivery="at_least_once")
    assert isinstance(publisher, AtLeastOncePublisher)
    assert publisher.transactional_id == ""
    publish(publisher)
    assert calls.made == [("BatchProducer.send", ROUTED), ("Group.commit", OFFSETS, MEMBERSHIP)]


def test_at_least_once_commits_nothing_after_a_failed_delivery(calls: Calls) -> None:
    calls.errors["BatchProducer.send"] = KafkaError("message too large")
    with pytest.raises(UndecidedCommitError, match="tweets-0 up to offset 3, tweets-7 up to offset 5"):
        publish(new_publisher(delivery="at_least_once"))
    assert [name for name, *_ in calls.made] == ["BatchProducer.send"]


def test_at_least_once_says_that_the_group_goes_on_without_it(calls: Calls) -> None:
    calls.errors["Group.commit"] = ExpelledError("22")
    with pytest.raises(ExpelledError):
        publish(new_publisher(delivery="at_least_once"))


def test_at_least_once_does_not_wait_for_kafka_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: Any) -> None:
        await asyncio.sleep(3600)

    monkeypatch.setattr(BatchProducer, "send", never)
    with pytest.raises(UndecidedCommitError, match="TimeoutError"):
        publish(new_publisher(delivery="at_least_once", commit_timeout_s=0.01))
