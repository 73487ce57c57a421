"""Which broker is asked, when it is asked again, and when asking again is of no use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.client import ConnectionGroup
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    RequestTimedOutError,
    StaleMetadata,
)

from worker.errors import DependencyError
from worker.kafka import brokers as brokers_module
from worker.kafka.access.causes import kafka_away
from worker.kafka.brokers import GROUP, TRANSACTION, Brokers, UnsupportedRequestError
from worker.records.types import TopicPartition
from worker.settings import Settings, load_settings

BOUND_S = 60
FIRST, SECOND = TopicPartition("tweets", 0), TopicPartition("tweets", 1)
PASSING = [
    KafkaConnectionError("gone"),
    NodeNotReadyError(),
    StaleMetadata(),
    RequestTimedOutError(),
    GroupCoordinatorNotAvailableError(),
]


class FakeClient:
    """An AIOKafkaClient with answers from a list: codes, or errors to raise; code 0 in the end."""

    def __init__(self, *answers: int | Exception, coordinators: Iterable[int | KafkaError] = ()) -> None:
        self.answers = list(answers)
        self.coordinators = list(coordinators)
        self.leaders: dict[TopicPartition, int | None] = {}
        self.leaders_after_refresh: dict[TopicPartition, int | None] = {}
        self.topics: list[str] = []
        self.asked: list[tuple[int, ConnectionGroup]] = []
        self.lookups: list[Any] = []
        self.num_updates = 0
        self.cluster = SimpleNamespace(
            brokers=lambda: [SimpleNamespace(nodeId=4), SimpleNamespace(nodeId=5)],
            leader_for_partition=lambda tp: self.leaders.get(TopicPartition(*tp)),
            partitions_for_topic=lambda topic: {tp.partition for tp in self.leaders if tp.topic == topic},
            topics=lambda: {tp.topic for tp in self.leaders},
        )

    def get_random_node(self) -> int:
        return 4

    async def send(self, node_id: int, _: Any, group: ConnectionGroup = ConnectionGroup.DEFAULT) -> Any:
        self.asked.append((node_id, group))
        answer = self.answers.pop(0) if self.answers else 0
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(error_code=answer)

    async def coordinator_lookup(self, kind: Any, key: str) -> int:
        self.lookups.append((kind, key))
        answer = self.coordinators.pop(0) if self.coordinators else 4
        if isinstance(answer, KafkaError):
            raise answer
        return answer

    def add_topic(self, topic: str) -> None:
        self.topics.append(topic)

    def force_metadata_update(self) -> asyncio.Future[bool]:
        self.num_updates += 1
        self.leaders |= self.leaders_after_refresh
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        done.set_result(True)
        return done

    async def fetch_all_metadata(self) -> Any:
        return self.cluster

    async def close(self) -> None: ...


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brokers_module, "_RETRY_S", 0.0)
    monkeypatch.setattr(brokers_module, "_CLOSE_S", 0.01)


def ask(client: FakeClient, *questions: Callable[[Brokers], Any]) -> list[Any]:
    async def scenario() -> list[Any]:
        brokers = Brokers(load_settings())
        brokers._client = client
        return [await question(brokers) for question in questions]

    return asyncio.run(asyncio.wait_for(scenario(), BOUND_S))


def codes(response: Any) -> tuple[int]:
    return (response.error_code,)


def of_group(brokers: Brokers) -> Any:
    return brokers.ask_coordinator(GROUP, "g", object(), codes)


def of_transaction(brokers: Brokers) -> Any:
    return brokers.ask_coordinator(TRANSACTION, "g", object(), codes)


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
