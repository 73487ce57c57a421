"""Producers of the worker: whole batches of records and the group's offsets, in one transaction or after each other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol, Self

import aiokafka.producer.sender
from aiokafka import AIOKafkaProducer
from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.errors import KafkaError, ProducerFenced

from worker.errors import UndecidedCommitError
from worker.kafka.assignment import CommitOffset
from worker.kafka.clients import client_options, kafka_away
from worker.process import CrashPoints
from worker.records.types import Header, OutputRecord, TopicPartition
from worker.settings import Settings

# A broker that still finishes the last transaction answers the next one's first request with a retriable error.
# aiokafka then waits a hard-coded 20 ms; at 1 ms one producer makes 211 transactions a second instead of 39.
aiokafka.producer.sender.BACKOFF_OVERRIDE = 0.001
_RETRY_BACKOFF_MS = 4
_MAX_BATCH_BYTES = 1 << 18


class FencedError(Exception):
    """Another producer has taken over the transactional id, or the broker ended a transaction that took too long."""


class ProducerRecord(NamedTuple):
    """A record and where it goes.

    partition: modulo the number of partitions of the topic. timestamp_ms: None for the present.
    """

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Iterable[Header]
    timestamp_ms: int | None = None


class BatchProducer:
    """Sends whole batches. Unlike aiokafka's `send`, they also take a record that has neither key nor value."""

    def __init__(self, settings: Settings, **options: Any) -> None:
        self._settings = settings
        self._client: Any = AIOKafkaProducer(
            **client_options(settings),
            linger_ms=0,
            max_batch_size=_MAX_BATCH_BYTES,
            retry_backoff_ms=_RETRY_BACKOFF_MS,
            **options,
        )
        self._num_partitions: dict[str, int] = {}

    async def start(self) -> None:
        """Connect. Raises DependencyError when Kafka does not answer within the request timeout."""
        try:
            await asyncio.wait_for(self._client.start(), self._settings.request_timeout_s)
        except (KafkaError, OSError, TimeoutError) as error:
            await self.stop()
            raise kafka_away(self._settings, error) from error

    async def stop(self) -> None:
        """Close the connection; what is left of it after the bound ends with the process."""
        try:
            await asyncio.wait_for(self._client.stop(), self._settings.request_timeout_s / 2)
        except (TimeoutError, KafkaError):
            return

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def partitions_for(self, topic: str) -> set[int]:
        """The partitions of a topic. Raises UnknownTopicOrPartitionError."""
        partitions: set[int] = await self._client.partitions_for(topic)
        return partitions

    async def send(self, records: Iterable[ProducerRecord]) -> None:
        """Send `records`, those of a partition in their order; returns when every delivery is acknowledged."""
        batches: dict[tuple[str, int], Any] = {}
        deliveries = []
        for topic, partition, key, value, headers, timestamp_ms in records:
            tp = topic, partition
            batch = batches.get(tp)
            if batch is None or batch.append(key=key, value=value, timestamp=timestamp_ms, headers=headers) is None:
                if batch is not None:
                    deliveries.append(await self._send_batch(tp, batch))
                batch = batches[tp] = self._client.create_batch()
                # The first record of a batch fits, whatever its size: the topic's limit decides.
                batch.append(key=key, value=value, timestamp=timestamp_ms, headers=headers)
        deliveries += [await self._send_batch(tp, batch) for tp, batch in batches.items()]
        for delivery in deliveries:
            await delivery

    async def _send_batch(self, tp: tuple[str, int], batch: Any) -> Any:
        topic, partition = tp
        if topic not in self._num_partitions:
            self._num_partitions[topic] = len(await self.partitions_for(topic))
        return await self._client.send_batch(batch, topic, partition=partition % self._num_partitions[topic])


class TransactionalProducer(BatchProducer):
    """Records and a group's offsets in one Kafka transaction.

    Starting a second producer with the same transactional id fences the first and ends what it had open.
    """

    def __init__(self, settings: Settings, transactional_id: str, crash_points: CrashPoints) -> None:
        super().__init__(
            settings,
            transactional_id=transactional_id,
            transaction_timeout_ms=int(settings.transaction_timeout_s * 1000),
        )
        self._crash_points = crash_points

    @property
    def producer_number(self) -> tuple[int, int]:
        """Kafka's number of this producer: (producer id, producer epoch), higher for each start of the same id."""
        manager = self._client._txn_manager
        return manager.producer_id, manager.producer_epoch

    async def commit(
        self, records: Iterable[ProducerRecord], offsets: Mapping[TopicPartition, Any], group: str
    ) -> None:
        """Publish `records` and commit `offsets` (of aiokafka's kinds) for `group`, as one.

        Every delivery is awaited before the offsets go in: a failed one would be committed with them. Raises
        FencedError, and UndecidedCommitError when the outcome is unknown.
        """
        try:
            async with asyncio.timeout(self._settings.commit_timeout_s):
                await self._client.begin_transaction()
                await self.send(records)
                self._crash_points.reach("produced")
                of_client = {KafkaTopicPartition(*tp): offset for tp, offset in offsets.items()}
                await self._client.send_offsets_to_transaction(of_client, group)
                await self._client.commit_transaction()
        except ProducerFenced as error:
            raise FencedError from error
        except (KafkaError, TimeoutError) as error:
            raise _undecided(offsets, error) from error


class PartitionProducer(Protocol):
    """Publishes the results of one partition."""

    async def publish(self, outputs: Iterable[OutputRecord], next_offset: int) -> None:
        """Publish `outputs` and commit `next_offset` for the group; returns when both are certain.

        Raises FencedError, and UndecidedCommitError when the outcome is unknown.
        """

    async def stop(self) -> None:
        """Close the connection, within a bound."""


class ExactlyOnceProducer(TransactionalProducer):
    """Events and offset in one transaction, under a transactional id of group, topic and partition."""

    def __init__(self, settings: Settings, tp: TopicPartition, crash_points: CrashPoints) -> None:
        super().__init__(settings, f"{settings.group}-{tp.topic}-{tp.partition}", crash_points)
        self.tp = tp

    async def publish(self, outputs: Iterable[OutputRecord], next_offset: int) -> None:
        """See PartitionProducer."""
        await self.commit(_routed(outputs, self.tp), {self.tp: next_offset}, self._settings.group)


class AtLeastOnceProducer(BatchProducer):
    """Events, then the offset: for brokers that forbid transactions. A crash between the two emits events twice."""

    def __init__(
        self, settings: Settings, tp: TopicPartition, crash_points: CrashPoints, commit_offset: CommitOffset
    ) -> None:
        super().__init__(settings, enable_idempotence=True)
        self.tp = tp
        self._crash_points = crash_points
        self._commit_offset = commit_offset

    async def publish(self, outputs: Iterable[OutputRecord], next_offset: int) -> None:
        """See PartitionProducer."""
        try:
            async with asyncio.timeout(self._settings.commit_timeout_s):
                await self.send(_routed(outputs, self.tp))
                self._crash_points.reach("produced")
                await self._commit_offset(self.tp, next_offset)
        except (KafkaError, TimeoutError) as error:
            raise _undecided({self.tp: next_offset}, error) from error


def _routed(outputs: Iterable[OutputRecord], tp: TopicPartition) -> Iterator[ProducerRecord]:
    """To the output partitions that match the input partition, so that order per stream holds."""
    return (ProducerRecord(topic, tp.partition, key, value, headers) for topic, key, value, headers in outputs)


def _undecided(offsets: Mapping[TopicPartition, Any], error: BaseException) -> UndecidedCommitError:
    places = ", ".join(
        f"{tp.topic}-{tp.partition} up to offset {getattr(offset, 'offset', offset)}" for tp, offset in offsets.items()
    )
    return UndecidedCommitError(
        f"the commit of {places} is undecided ({type(error).__name__}: {error}): it happened whole or not at all. What "
        "runs next, a worker or the same command again, goes on from what Kafka has"
    )
