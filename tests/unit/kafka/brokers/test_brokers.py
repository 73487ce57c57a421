"""Which broker is asked, when it is asked again, and when asking again is of no use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka.client import ConnectionGroup
from aiokafka.errors import GroupAuthorizationFailedError, KafkaConnectionError, KafkaError, NodeNotReadyError

from tests.unit.kafka.brokers.fake_client import BOUND_S, FIRST, PASSING, FakeClient, ask, of_group
from worker.errors import DependencyError
from worker.kafka import brokers as brokers_module
from worker.kafka.access.causes import kafka_away
from worker.kafka.brokers import GROUP, Brokers, UnsupportedRequestError
from worker.settings import Settings, load_settings


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
def test_any_broker_is_asked_until_one_answers(error: KafkaError) -> None:
    client = FakeClient(error, error)
    ask(client, lambda brokers: brokers.ask_any(object()))
    assert len(client.asked) == 3
    assert client.num_updates == 2


@pytest.mark.parametrize("question", [of_group, lambda brokers: brokers.ask_any(object())])
def test_what_asking_again_does_not_mend_is_raised_at_once(question: Callable[[Brokers], Any]) -> None:
    client = FakeClient(GroupAuthorizationFailedError())
    with pytest.raises(GroupAuthorizationFailedError):
        ask(client, question)
    assert len(client.asked) == 1


def test_a_named_broker_is_asked_once() -> None:
    with pytest.raises(NodeNotReadyError):
        ask(client := FakeClient(NodeNotReadyError()), lambda brokers: brokers.ask(5, object()))
    assert client.asked == [(5, ConnectionGroup.DEFAULT)]


def test_the_cluster_names_its_brokers_and_topics() -> None:
    client = FakeClient()
    client.leaders = {FIRST: 4}
    assert ask(client, Brokers.topics) == [{"tweets"}]

    async def node_ids(brokers: Brokers) -> list[int]:
        return brokers.node_ids

    assert ask(client, node_ids) == [[4, 5]]


def test_a_cluster_that_does_not_answer_at_the_start_is_named_and_the_connections_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed = []

    class Away(FakeClient):
        def __init__(self, **_: Any) -> None:
            super().__init__()

        async def bootstrap(self) -> None:
            raise KafkaConnectionError("no broker")

        async def close(self) -> None:
            closed.append(self)

    async def trouble(settings: Settings, error: BaseException) -> DependencyError:
        return kafka_away(settings, error)

    monkeypatch.setattr(brokers_module, "AIOKafkaClient", Away)
    monkeypatch.setattr(brokers_module, "kafka_trouble", trouble)

    async def scenario() -> None:
        async with Brokers(load_settings()):
            raise AssertionError

    with pytest.raises(DependencyError, match=r"Kafka at .* does not answer \(.*no broker"):
        asyncio.run(scenario())
    assert len(closed) == 1


def test_connections_that_do_not_close_are_left_to_the_end_of_the_process() -> None:
    class Stuck(FakeClient):
        async def close(self) -> None:
            await asyncio.sleep(BOUND_S)

    ask(Stuck(), Brokers.close)


def test_a_second_close_does_nothing() -> None:
    ask(FakeClient(), Brokers.close, Brokers.close)


@pytest.mark.parametrize("name", ["ask", "ask_any", "ask_coordinator"])
def test_a_broker_that_is_too_old_for_a_request_is_not_asked_again(name: str) -> None:
    client = FakeClient(NotImplementedError("no version fits"))
    brokers = Brokers(load_settings())
    brokers._client = client
    calls: dict[str, Callable[[], Any]] = {
        "ask": lambda: brokers.ask(4, "request"),
        "ask_any": lambda: brokers.ask_any("request"),
        "ask_coordinator": lambda: brokers.ask_coordinator(GROUP, "g", "request", lambda _: ()),
    }
    with pytest.raises(UnsupportedRequestError, match="no version fits"):
        asyncio.run(asyncio.wait_for(calls[name](), BOUND_S))
    assert len(client.asked) == 1
    assert brokers.num_unanswered == 0
