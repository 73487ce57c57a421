"""Publishes the results of a micro-batch and commits its offsets, in the name of one assignment: step 5."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from aiokafka.errors import KafkaError

from worker.errors import UndecidedCommitError
from worker.kafka.brokers import Brokers
from worker.kafka.group import Group
from worker.kafka.group_offsets import GroupOffset
from worker.kafka.producer import BatchProducer, ProducerRecord
from worker.kafka.protocol.offsets import Membership
from worker.kafka.transaction import TransactionalProducer
from worker.monitoring.tracing.tracing import NO_TRACING, Tracing
from worker.process import CrashPoints
from worker.records.types import OutputRecord, TopicPartition
from worker.settings import Settings

Outputs = Mapping[TopicPartition, Sequence[OutputRecord]]
"""What to publish, by input partition."""

Offsets = Mapping[TopicPartition, GroupOffset]


class Publisher(Protocol):
    """Publishes while an assignment lasts. A new assignment needs a new one."""

    membership: Membership
    transactional_id: str
    """'' without transactions."""

    @property
    def is_disturbed(self) -> bool:
        """Whether what is published may be hidden from readers until something more is."""

    async def start(self) -> None:
        """Get ready. Raises DependencyError and RefusedError."""

    async def publish(self, outputs: Outputs, offsets: Offsets) -> None:
        """Publish `outputs` and commit `offsets`; returns when both are certain.

        Raises GoneError and FencedError, of which ExpelledError is one; TooLargeError, after which no offset is
        committed; and SentimentError where it is not known, or of no use, to go on.
        """


class ExactlyOncePublisher:
    """Outputs and offsets in one Kafka transaction, under a transactional id of this assignment alone.

    Nobody who is alive and assigned uses an earlier one, so that ending what an earlier one has open hurts nobody.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - an assignment and what every publisher is made with
        self,
        settings: Settings,
        brokers: Brokers,
        membership: Membership,
        number: int,
        crash_points: CrashPoints,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        """`number` differs for each publisher of this process."""
        # A colon ends the group's name, which cannot have one: the ids of group a-2 are not those of group a.
        self.membership = membership
        self.transactional_id = f"{settings.group}:{membership.generation}:{membership.member_id}:{number}"
        self._group = settings.group
        self._producer = TransactionalProducer(settings, brokers, self.transactional_id, crash_points, tracing)

    @property
    def is_disturbed(self) -> bool:
        """See Publisher."""
        return self._producer.is_disturbed

    async def start(self) -> None:
        """See Publisher."""
        await self._producer.start()

    async def publish(self, outputs: Outputs, offsets: Offsets) -> None:
        """See Publisher."""
        await self._producer.commit(_routed(outputs), offsets, self._group, self.membership)


class AtLeastOncePublisher:
    """Outputs, then offsets: for brokers that forbid transactions. A crash between the two emits events twice."""

    transactional_id = ""
    is_disturbed = False

    def __init__(
        self,
        settings: Settings,
        brokers: Brokers,
        membership: Membership,
        crash_points: CrashPoints,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self.membership = membership
        self._settings = settings
        self._crash = crash_points.reach
        self._tracing = tracing
        self._producer = BatchProducer(settings, brokers)
        self._group = Group(settings, brokers, settings.group)

    async def start(self) -> None:
        """See Publisher."""
        await self._producer.start()

    async def publish(self, outputs: Outputs, offsets: Offsets) -> None:
        """See Publisher."""
        try:
            async with asyncio.timeout(self._settings.commit_timeout_s):
                records = list(_routed(outputs))
                with self._tracing.sending(records):
                    await self._producer.send(records)
                self._crash("produced")
                with self._tracing.committing():
                    await self._group.commit(offsets, self.membership)
        except (KafkaError, TimeoutError) as error:
            raise UndecidedCommitError.of(offsets, error) from error


def publisher_factory(
    settings: Settings, brokers: Brokers, crash_points: CrashPoints, tracing: Tracing = NO_TRACING
) -> Callable[[Membership], Publisher]:
    """Makes the publisher of each assignment, as `delivery` says."""
    numbers = itertools.count()

    def new_publisher(membership: Membership) -> Publisher:
        if settings.delivery == "exactly_once":
            return ExactlyOncePublisher(settings, brokers, membership, next(numbers), crash_points, tracing)
        return AtLeastOncePublisher(settings, brokers, membership, crash_points, tracing)

    return new_publisher


def _routed(outputs: Outputs) -> Iterator[ProducerRecord]:
    """To the output partitions that match the input partition, so that order per stream holds."""
    for tp, records in outputs.items():
        for topic, key, value, headers in records:
            yield ProducerRecord(topic, tp.partition, key, value, headers)
