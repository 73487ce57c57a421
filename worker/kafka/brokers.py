"""Asks the right broker: any one, a partition's leader, or the coordinator of a group or of a transactional id."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from typing import Any, Self

from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import KafkaError

from worker.kafka.access.probe import kafka_trouble
from worker.kafka.clients import client_options
from worker.kafka.protocol.codes import COORDINATOR_MOVES
from worker.records.types import TopicPartition
from worker.settings import Settings

Request = Any
Response = Any
Codes = Callable[[Response], Iterable[int]]
"""The error codes in an answer."""

GROUP, TRANSACTION = CoordinationType.GROUP, CoordinationType.TRANSACTION

_RETRY_S = 0.02
_CLOSE_S = 2.0
# Output topics may grow while the worker runs.
_METADATA_AGE_MS = 30_000


class UnsupportedRequestError(Exception):
    """The broker is too old for the request."""


class Brokers:
    """One client of the cluster, for requests of our own. Callers bound how long they wait for an answer."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Any = None
        self._coordinators: dict[tuple[CoordinationType, str], int] = {}
        self.num_unanswered = 0
        """Requests whose answer did not come: brokers may have carried them out, or still do so later."""
        self.is_answering = True
        """Whether the last request was answered."""

    async def start(self) -> None:
        """Connect. Raises DependencyError when Kafka does not answer within the request timeout."""
        self._client = AIOKafkaClient(**client_options(self._settings), metadata_max_age_ms=_METADATA_AGE_MS)
        try:
            await asyncio.wait_for(self._client.bootstrap(), self._settings.request_timeout_s)
        except (KafkaError, OSError, TimeoutError) as error:
            await self.close()
            raise await kafka_trouble(self._settings, error) from error

    async def close(self) -> None:
        """Close the connections; what is left of them after a bound ends with the process."""
        client, self._client = self._client, None
        if client is not None:
            await asyncio.wait([asyncio.ensure_future(client.close())], timeout=_CLOSE_S)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def node_ids(self) -> list[int]:
        """The brokers of the cluster."""
        return [broker.nodeId for broker in self._client.cluster.brokers()]

    async def ask(self, node_id: int, request: Request) -> Response:
        """The answer of one broker. Raises KafkaError and, here as below, UnsupportedRequestError."""
        return await self._send(node_id, request)

    async def ask_any(self, request: Request) -> Response:
        """The answer of any broker, asked until one answers."""
        trouble: KafkaError | None = None
        while True:
            try:
                return await self._send(self._client.get_random_node(), request)
            except KafkaError as error:
                trouble = error
                await self._pause(error)
            except asyncio.CancelledError as bound:
                raise bound from trouble  # so that whoever set the bound can say why nothing came

    async def ask_coordinator(self, kind: CoordinationType, key: str, request: Request, codes: Codes) -> Response:
        """The answer of the coordinator of `key`, asked until it has one: coordinators move and load.

        Requests may be sent twice, so that they must be idempotent. Raises KafkaError that asking again cannot mend.
        """
        trouble: KafkaError | None = None
        while True:
            try:
                node_id = await self._coordinator(kind, key)
                response = await self._send(node_id, request, ConnectionGroup.COORDINATION)
            except KafkaError as error:
                trouble = error
                self._coordinators.pop((kind, key), None)
                await self._pause(error)
                continue
            except asyncio.CancelledError as bound:
                raise bound from trouble
            if COORDINATOR_MOVES.isdisjoint(codes(response)):
                return response
            self._coordinators.pop((kind, key), None)
            await asyncio.sleep(_RETRY_S)

    async def _send(
        self, node_id: int | None, request: Request, connection: ConnectionGroup = ConnectionGroup.DEFAULT
    ) -> Response:
        try:
            response = await self._client.send(node_id, request, group=connection)
        except KafkaError:
            self.num_unanswered += 1
            self.is_answering = False
            raise
        except NotImplementedError as error:  # what aiokafka raises where no version of a request fits
            raise UnsupportedRequestError(str(error)) from error
        self.is_answering = True
        return response

    async def _coordinator(self, kind: CoordinationType, key: str) -> int:
        if (kind, key) not in self._coordinators:
            self._coordinators[kind, key] = await self._client.coordinator_lookup(kind, key)
        return self._coordinators[kind, key]

    async def leaders(self, tps: Collection[TopicPartition]) -> dict[int, list[TopicPartition]]:
        """The partitions that each broker leads; those without a known leader are left out."""
        found = self._leaders(tps)
        if sum(map(len, found.values())) < len(tps):
            await self.refresh({tp.topic for tp in tps})
            found = self._leaders(tps)
        return found

    def _leaders(self, tps: Collection[TopicPartition]) -> dict[int, list[TopicPartition]]:
        found: dict[int, list[TopicPartition]] = {}
        for tp in tps:
            leader = self._client.cluster.leader_for_partition(KafkaTopicPartition(*tp))
            if leader is not None and leader >= 0:
                found.setdefault(leader, []).append(tp)
        return found

    async def topics(self) -> set[str]:
        """The topics of the cluster. Raises KafkaError."""
        cluster = await self._client.fetch_all_metadata()
        found: set[str] = cluster.topics()
        return found

    async def num_partitions(self, topic: str) -> int:
        """The partitions of a topic; 0 where it does not exist."""
        found = self._client.cluster.partitions_for_topic(topic)
        if not found:
            await self.refresh({topic})
            found = self._client.cluster.partitions_for_topic(topic)
        return len(found or ())

    async def refresh(self, topics: Iterable[str] = ()) -> None:
        """Learn anew where partitions are, those of `topics` among them."""
        for topic in topics:
            self._client.add_topic(topic)
        await self._client.force_metadata_update()

    async def _pause(self, error: KafkaError) -> None:
        """Before another try after `error`, which is raised where another try cannot help."""
        if not error.retriable:
            raise error
        self._client.force_metadata_update()
        await asyncio.sleep(_RETRY_S)


async def ask_if_there(brokers: Brokers, node_id: int, request: Request) -> Response | None:
    """The answer of one broker; None where another try, of that broker or another, can help. Raises KafkaError."""
    try:
        return await brokers.ask(node_id, request)
    except KafkaError as error:
        if not error.retriable:
            raise
        return None
