"""Which coordinator and which leader is asked, and when it is looked up again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka.client import ConnectionGroup
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError

from tests.unit.kafka.brokers.fake_client import FIRST, PASSING, SECOND, FakeClient, ask, of_group, of_transaction
from worker.kafka.access.causes import kafka_away
from worker.kafka.brokers import GROUP, TRANSACTION, Brokers
from worker.servers.causes import errors_of
from worker.settings import load_settings


def test_a_coordinator_is_looked_up_once_for_each_kind_and_key() -> None:
    client = FakeClient(coordinators=[4, 5])
    ask(client, of_group, of_transaction, of_group, of_transaction)
    assert client.lookups == [(GROUP, "g"), (TRANSACTION, "g")]
    assert client.asked == [(node_id, ConnectionGroup.COORDINATION) for node_id in (4, 5, 4, 5)]


@pytest.mark.parametrize("code", [14, 15, 16], ids=["loading", "not available", "not coordinator"])
def test_a_coordinator_that_moved_or_loads_is_looked_up_and_asked_again(code: int) -> None:
    client = FakeClient(code, code, coordinators=[4, 4, 5])
    (response,) = ask(client, of_group)
    assert response.error_code == 0
    assert [node_id for node_id, _ in client.asked] == [4, 4, 5]


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
def test_a_coordinator_that_does_not_answer_is_looked_up_again(error: KafkaError) -> None:
    client = FakeClient(error, coordinators=[4, 5])
    ask(client, of_group)
    assert [node_id for node_id, _ in client.asked] == [4, 5]


def test_a_coordinator_that_is_not_there_yet_is_looked_for_until_it_is() -> None:
    client = FakeClient(coordinators=[GroupCoordinatorNotAvailableError(), GroupCoordinatorNotAvailableError(), 5])
    ask(client, of_group)
    assert len(client.lookups) == 3
    assert [node_id for node_id, _ in client.asked] == [5]


@pytest.mark.parametrize("question", [of_group, lambda brokers: brokers.ask_any(object())], ids=["coordinator", "any"])
def test_whoever_bounds_the_tries_is_told_what_the_one_before_met(question: Callable[[Brokers], Any]) -> None:
    class Silent(FakeClient):
        async def send(self, *arguments: Any, **options: Any) -> Any:
            if not self.answers:
                await asyncio.Event().wait()
            return await super().send(*arguments, **options)

    async def bounded(brokers: Brokers) -> Any:
        async with asyncio.timeout(0.05):
            await question(brokers)

    met = GroupCoordinatorNotAvailableError()
    with pytest.raises(TimeoutError) as caught:
        ask(Silent(met, coordinators=[4, 4]), bounded)
    assert met in errors_of(caught.value)
    assert "replication.factor" in str(kafka_away(load_settings(), caught.value))


def test_an_answer_with_another_error_is_an_answer() -> None:
    (response,) = ask(FakeClient(22), of_group)
    assert response.error_code == 22


def test_partitions_are_grouped_by_leader() -> None:
    client = FakeClient()
    client.leaders = {FIRST: 4, SECOND: 5}
    assert ask(client, lambda brokers: brokers.leaders([FIRST, SECOND])) == [{4: [FIRST], 5: [SECOND]}]
    assert client.num_updates == 0


@pytest.mark.parametrize("unknown", [None, -1])
def test_a_leader_that_is_not_known_is_looked_for_once(unknown: int | None) -> None:
    client = FakeClient()
    client.leaders, client.leaders_after_refresh = {FIRST: 4, SECOND: unknown}, {SECOND: 5}
    assert ask(client, lambda brokers: brokers.leaders([FIRST, SECOND])) == [{4: [FIRST], 5: [SECOND]}]
    assert client.topics == ["tweets"]


def test_a_partition_without_a_leader_is_left_out() -> None:
    client = FakeClient()
    client.leaders = {FIRST: 4, SECOND: -1}
    assert ask(client, lambda brokers: brokers.leaders([FIRST, SECOND])) == [{4: [FIRST]}]


def test_the_partitions_of_a_topic_are_counted_and_looked_for_where_it_is_not_known() -> None:
    client = FakeClient()
    client.leaders_after_refresh = {FIRST: 4, SECOND: 5}

    def count(topic: str) -> Callable[[Brokers], Any]:
        return lambda brokers: brokers.num_partitions(topic)

    assert ask(client, count("tweets"), count("tweets"), count("nowhere")) == [2, 2, 0]
    assert client.topics == ["tweets", "nowhere"]
