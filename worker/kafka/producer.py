"""A transactional producer for each owned partition: its results and the group's offset, in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

import aiokafka.producer.sender
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced
from faust.types import TP

from worker.errors import SentimentError, UndecidedCommitError
from worker.kafka.clients import client_options, kafka_away
from worker.process import CrashPoints
from worker.processing.events import Output
from worker.settings import Settings

# A broker that still finishes the last transaction answers the next one's first request with a retriable error.
# aiokafka then waits a hard-coded 20 ms; at 1 ms one producer makes 211 transactions a second instead of 39.
aiokafka.producer.sender.BACKOFF_OVERRIDE = 0.001
_RETRY_BACKOFF_MS = 4
_MAX_BATCH_BYTES = 1 << 18

CommitOffset = Callable[[TP, int], Awaitable[None]]


class FencedError(Exception):
    """Another worker owns the partition now, or the broker ended a transaction that took too long: drop it."""


class Publisher(Protocol):
    """Publishes the results of one partition."""

    async def publish(self, outputs: Iterable[Output], next_offset: int) -> None:
        """Publish `outputs` and commit `next_offset` for the group, as one; returns when both are certain.

        Raises FencedError, or UndecidedCommitError when nobody knows whether it happened.
        """

    async def stop(self) -> None:
        """Close the connection, within a bound."""


class _PartitionProducer:
    """What both kinds share: sending whole batches to the output partition that matches the input partition."""

    def __init__(self, settings: Settings, tp: TP, crash_points: CrashPoints, **options: Any) -> None:
        self._settings = settings
        self._tp = tp
        self._crash_points = crash_points
        self._producer: Any = AIOKafkaProducer(
            **client_options(settings),
            linger_ms=0,
            max_batch_size=_MAX_BATCH_BYTES,
            retry_backoff_ms=_RETRY_BACKOFF_MS,
            **options,
        )
        self._num_partitions: dict[str, int] = {}

    async def start(self) -> None:
        """Connect; raises DependencyError when Kafka does not answer within the request timeout."""
        try:
            await asyncio.wait_for(self._producer.start(), self._settings.request_timeout_s)
        except (KafkaError, OSError, TimeoutError) as error:
            await self.stop()
            raise kafka_away(self._settings, error) from error

    async def stop(self) -> None:
        """Close the connection; what is left of it after the bound ends with the process."""
        try:
            await asyncio.wait_for(self._producer.stop(), self._settings.request_timeout_s / 2)
        except (TimeoutError, KafkaError):
            return

    async def _send(self, outputs: Iterable[Output]) -> None:
        batches: dict[str, Any] = {}
        deliveries = []
        for topic, key, value, headers in outputs:
            batch = batches.get(topic)
            if batch is None or batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
                if batch is not None:
                    deliveries.append(await self._send_batch(batch, topic))
                batch = batches[topic] = self._producer.create_batch()
                # the first record of a batch fits, whatever its size: the topic's limit decides
                batch.append(key=key, value=value, timestamp=None, headers=headers)
        for topic, batch in batches.items():
            deliveries.append(await self._send_batch(batch, topic))
        for delivery in deliveries:
            await delivery
        self._crash_points.reach("produced")

    async def _send_batch(self, batch: Any, topic: str) -> Any:
        return await self._producer.send_batch(batch, topic, partition=await self._output_partition(topic))

    async def _output_partition(self, topic: str) -> int:
        if topic not in self._num_partitions:
            self._num_partitions[topic] = len(await self._producer.partitions_for(topic))
        return int(self._tp.partition % self._num_partitions[topic])


class TransactionalPublisher(_PartitionProducer):
    """Events and offset in one Kafka transaction, under a transactional id of group, topic and partition.

    Starting a second one with the same id fences the first and ends what it had open.
    """

    def __init__(self, settings: Settings, tp: TP, crash_points: CrashPoints) -> None:
        super().__init__(
            settings,
            tp,
            crash_points,
            transactional_id=f"{settings.group}-{tp.topic}-{tp.partition}",
            transaction_timeout_ms=int(settings.transaction_timeout_s * 1000),
        )

    @property
    def producer_number(self) -> tuple[int, int]:
        """Kafka's number of this producer: (producer id, producer epoch), higher for each start of the same id."""
        manager = self._producer._txn_manager
        return manager.producer_id, manager.producer_epoch

    async def publish(self, outputs: Iterable[Output], next_offset: int) -> None:
        """See Publisher. Every delivery is awaited before the offset goes in, else a failed one would commit it."""
        try:
            async with asyncio.timeout(self._settings.commit_timeout_s):
                await self._producer.begin_transaction()
                await self._send(outputs)
                offsets = {TopicPartition(*self._tp): next_offset}
                await self._producer.send_offsets_to_transaction(offsets, self._settings.group)
                await self._producer.commit_transaction()
        except ProducerFenced as error:
            raise FencedError from error
        except (KafkaError, TimeoutError) as error:
            raise _undecided(self._tp, next_offset, error) from error


class PlainPublisher(_PartitionProducer):
    """Events, then the offset: for brokers that forbid transactions. A crash between the two emits events twice."""

    def __init__(self, settings: Settings, tp: TP, crash_points: CrashPoints, commit_offset: CommitOffset) -> None:
        super().__init__(settings, tp, crash_points, enable_idempotence=True)
        self._commit_offset = commit_offset

    async def publish(self, outputs: Iterable[Output], next_offset: int) -> None:
        """See Publisher."""
        try:
            async with asyncio.timeout(self._settings.commit_timeout_s):
                await self._send(outputs)
                await self._commit_offset(self._tp, next_offset)
        except (KafkaError, TimeoutError) as error:
            raise _undecided(self._tp, next_offset, error) from error


def _undecided(tp: TP, next_offset: int, error: BaseException) -> SentimentError:
    return UndecidedCommitError(
        f"commit of {tp.topic}-{tp.partition} up to offset {next_offset} is undecided "
        f"({type(error).__name__}: {error}); whoever owns the partition next takes over from what Kafka has"
    )
