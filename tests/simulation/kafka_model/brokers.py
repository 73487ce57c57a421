"""The interface of worker.kafka.brokers.Brokers, over a simulated network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from typing import Any, Self

from aiokafka.errors import KafkaConnectionError, KafkaError

from tests.simulation.kafka_model.cluster import NODE_ID, Cluster, FetchAnswer
from tests.simulation.network import Network
from worker.kafka.protocol.codes import COORDINATOR_MOVES
from worker.records.types import TopicPartition

_RETRY_S = 0.02
_METADATA_AGE_S = 30.0


def _lost(reason: str) -> KafkaError:
    return KafkaConnectionError(reason)


class SimulatedBrokers:
    """One client's connections to the simulated cluster."""

    def __init__(self, cluster: Cluster, network: Network) -> None:
        self._cluster = cluster
        self._network = network
        self.num_unanswered = 0
        self.is_answering = True
        self._counts: dict[str, tuple[float, int]] = {}

    async def start(self) -> None:
        """See Brokers."""

    async def close(self) -> None:
        """See Brokers."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def node_ids(self) -> list[int]:
        """See Brokers."""
        return [NODE_ID]

    async def ask(self, node_id: int, request: Any) -> Any:
        """See Brokers."""
        assert node_id == NODE_ID
        try:
            response = await self._network.ask(lambda: self._cluster.handle(request), _lost, type(request).__name__)
        except KafkaError:
            self.num_unanswered += 1
            self.is_answering = False
            raise
        self.is_answering = True
        return response

    async def ask_any(self, request: Any) -> Any:
        """See Brokers."""
        while True:
            try:
                return await self.ask(NODE_ID, request)
            except KafkaError as error:
                if not error.retriable:
                    raise
            await asyncio.sleep(_RETRY_S)

    async def ask_coordinator(self, kind: Any, key: str, request: Any, codes: Callable[[Any], Iterable[int]]) -> Any:
        """See Brokers."""
        while True:
            response = await self.ask_any(request)
            if COORDINATOR_MOVES.isdisjoint(codes(response)):
                return response
            await asyncio.sleep(_RETRY_S)

    async def leaders(self, tps: Collection[TopicPartition]) -> dict[int, list[TopicPartition]]:
        """See Brokers."""
        known = [tp for tp in tps if tp.partition < await self.num_partitions(tp.topic)]
        return {NODE_ID: known} if known else {}

    async def num_partitions(self, topic: str) -> int:
        """See Brokers."""
        now_s = asyncio.get_running_loop().time()
        at_s, count = self._counts.get(topic, (0.0, 0))
        if not count or now_s - at_s > _METADATA_AGE_S:
            await self.refresh({topic})
        return self._counts.get(topic, (0.0, 0))[1]

    async def refresh(self, topics: Iterable[str] = ()) -> None:
        """See Brokers."""

        def describe() -> dict[str, int]:
            return {name: len(topic.logs) for name, topic in self._cluster.topics.items()}

        try:
            found = await self._network.ask(describe, _lost, "Metadata")
        except KafkaError:
            return
        now_s = asyncio.get_running_loop().time()
        wanted = {*self._counts, *topics}
        self._counts = {name: (now_s, found.get(name, 0)) for name in wanted}

    async def topics(self) -> set[str]:
        """See Brokers."""
        found: set[str] = await self._network.ask(lambda: set(self._cluster.topics), _lost, "Metadata")
        return found

    async def ask_waiting(self, request: Any, timeout_s: float) -> Any:
        """A request that the broker answers late: JoinGroup and SyncGroup."""
        name = type(request).__name__
        return await self._network.ask(lambda: self._cluster.handle(request), _lost, name, timeout_s)

    async def fetch(self, offsets: dict[TopicPartition, int], wait_s: float) -> FetchAnswer:
        """Fetch committed records; None for a partition whose log does not hold the offset."""
        answer: FetchAnswer = await self._network.ask(lambda: self._cluster.fetch(offsets, wait_s), _lost, "Fetch")
        return answer
