"""What is asked of the leaders of partitions: until each has answered, and never misunderstood."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError

from tests.factories.fake_brokers import CLUSTER, TOPIC_ID, FakeBrokers
from tests.factories.partitions import TOPIC
from worker.errors import DependencyError, RefusedError
from worker.kafka import log as log_module
from worker.kafka.brokers import UnsupportedRequestError
from worker.kafka.log import Log, LogBounds
from worker.records.types import TopicPartition
from worker.settings import load_settings

FIRST, SECOND = TopicPartition("tweets", 0), TopicPartition("tweets", 1)
ID = f"{CLUSTER}/{TOPIC_ID.hex()}"
BOUND_S = 60
EARLIEST, LATEST, AT_A_TIME = -2, -1, 0

Question = Callable[[Log], Awaitable[Any]]


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "_RETRY_S", 0.0)


def ask(brokers: FakeBrokers, question: Question, **flags: Any) -> Any:
    any_brokers: Any = brokers
    log = Log(load_settings(**({"request_timeout_s": BOUND_S / 2} | flags)), any_brokers)
    return asyncio.run(asyncio.wait_for(question(log), BOUND_S))


def new_brokers(**script: Any) -> FakeBrokers:
    brokers = FakeBrokers(**script)
    brokers.times = {EARLIEST: 3, LATEST: 50, AT_A_TIME: 10}
    return brokers


def ends(log: Log) -> Awaitable[dict[TopicPartition, int]]:
    return log.ends([FIRST, SECOND])


def bounds(log: Log) -> Awaitable[dict[TopicPartition, LogBounds]]:
    return log.bounds([FIRST, SECOND])


def test_the_bounds_of_a_log_are_its_first_and_last_offsets_and_its_topic() -> None:
    brokers = new_brokers()
    assert ask(brokers, bounds) == dict.fromkeys([FIRST, SECOND], LogBounds(3, 50, 10, ID))
    for request in brokers.requests("Offset"):
        assert (request.replica_id, request.isolation_level) == (-1, 0)


def test_the_lookback_begins_at_the_first_record_that_is_young_enough() -> None:
    brokers = new_brokers()
    ask(brokers, bounds, rebuild_lookback_s=3600)
    times = [request.topics[0][1][0][1] for request in brokers.requests("Offset")]
    (since_ms,) = (time_ms for time_ms in times if time_ms > 0)
    assert since_ms / 1000 == pytest.approx(time.time() - 3600, abs=BOUND_S)


def test_a_log_without_a_record_that_is_young_enough_has_no_lookback() -> None:
    brokers = new_brokers()
    brokers.times[AT_A_TIME] = -1
    assert ask(brokers, bounds)[FIRST].lookback is None


def test_each_leader_is_asked_about_its_own_partitions() -> None:
    brokers = new_brokers()
    brokers.leader_of[SECOND] = 1
    assert ask(brokers, ends) == {FIRST: 50, SECOND: 50}
    assert [request.topics[0][1] for request in brokers.requests("Offset")] == [[(0, -1)], [(1, -1)]]


@pytest.mark.parametrize("code", [3, 5, 6, 7, 78], ids=["unknown", "no leader", "not leader", "timed out", "not ready"])
def test_a_leader_that_moves_or_is_not_ready_does_not_pass_for_an_answer(code: int) -> None:
    brokers = new_brokers(Offset=[{SECOND: code}])
    assert ask(brokers, ends) == {FIRST: 50, SECOND: 50}
    assert [request.topics[0][1] for request in brokers.requests("Offset")] == [[(0, -1), (1, -1)], [(1, -1)]]
    assert brokers.num_refreshes == 1


def test_a_leader_that_does_not_answer_is_looked_for_again() -> None:
    assert ask(new_brokers(Offset=[KafkaConnectionError("gone")]), ends) == {FIRST: 50, SECOND: 50}


def test_a_refusal_is_an_error() -> None:
    with pytest.raises(RefusedError, match="ListOffsets of tweets-1 with error 29"):
        ask(new_brokers(Offset=[{SECOND: 29}]), ends)


def test_topics_that_do_not_exist_have_no_id_and_their_partitions_no_bounds() -> None:
    assert ask(new_brokers(TopicIds=[3]), bounds) == {}


def test_a_topic_is_named_by_its_cluster_and_its_id() -> None:
    brokers = new_brokers()
    assert ask(brokers, lambda log: log.topic_ids(["tweets"])) == {"tweets": ID}
    (request,) = brokers.requests("TopicIds")
    assert not request.create
    assert ID.partition("/")[0] == TOPIC.topic_id.partition("/")[0]


@pytest.mark.parametrize("name", ["TopicIds"])
def test_brokers_that_are_too_old_for_ids_have_topics_without_any(name: str) -> None:
    brokers = new_brokers(**{name: [UnsupportedRequestError()]})
    brokers.num_partitions_of = {"tweets": 2, "nowhere": 0}
    assert ask(brokers, lambda log: log.topic_ids(["tweets", "nowhere"])) == {"tweets": ""}


def test_topics_of_a_cluster_that_gives_no_ids_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.factories.fake_brokers.TOPIC_ID", bytes(16))
    assert ask(new_brokers(), lambda log: log.topic_ids(["tweets"])) == {"tweets": ""}


def test_partitions_are_counted_for_the_topics_that_exist() -> None:
    brokers = new_brokers()
    brokers.num_partitions_of = {"tweets": 2, "nowhere": 0}
    assert ask(brokers, lambda log: log.partition_counts(["tweets", "nowhere"])) == {"tweets": 2}


async def never(*_: Any) -> Any:
    await asyncio.sleep(3600)


@pytest.mark.parametrize(
    "question",
    [ends, bounds, lambda log: log.starts([FIRST]), lambda log: log.topic_ids(["tweets"])],
    ids=["ends", "bounds", "starts", "topic_ids"],
)
def test_a_broker_that_is_silent_is_waited_for_no_longer_than_the_request_timeout(question: Question) -> None:
    brokers = new_brokers(Offset=[never] * 3, TopicIds=[never])
    with pytest.raises(DependencyError, match=r"Kafka at .* does not answer"):
        ask(brokers, question, request_timeout_s=0.05)


def test_a_leader_that_is_never_found_is_given_up_within_the_request_timeout() -> None:
    brokers = new_brokers(Offset=[6] * 100_000)
    with pytest.raises(DependencyError, match=r"Kafka at .* does not answer"):
        ask(brokers, ends, request_timeout_s=0.05)


def test_partitions_that_cannot_be_counted_in_time_are_an_error_too() -> None:
    brokers = new_brokers()
    brokers.num_partitions = never  # type: ignore[method-assign]
    with pytest.raises(DependencyError):
        ask(brokers, lambda log: log.partition_counts(["tweets"]), request_timeout_s=0.05)


def test_what_asking_again_does_not_mend_is_raised_at_once() -> None:
    with pytest.raises(DependencyError, match="TopicAuthorizationFailedError"):
        ask(new_brokers(Offset=[TopicAuthorizationFailedError()]), ends)
