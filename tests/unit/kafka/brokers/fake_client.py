"""An AIOKafkaClient that answers from a list, and the questions that brokers ask of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

from aiokafka.client import ConnectionGroup
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    RequestTimedOutError,
    StaleMetadata,
)

from worker.kafka.brokers import GROUP, TRANSACTION, Brokers
from worker.records.types import TopicPartition
from worker.settings import load_settings

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
