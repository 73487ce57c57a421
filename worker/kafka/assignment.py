"""What the consumer and those who own partitions tell each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, Protocol

from worker.records.types import TopicPartition

CommitOffset = Callable[[TopicPartition, int], Awaitable[None]]
"""Commits the next offset of a partition for the group. Raises KafkaError."""


class Assignment(NamedTuple):
    """The partitions that the group coordinator gave this worker, and how to commit as the member that got them."""

    tps: frozenset[TopicPartition]
    commit_offset: CommitOffset


class PartitionHandler(Protocol):
    """Receives assignments and revocations, in the order in which the group coordinator sends them."""

    async def on_revoked(self) -> None:
        """Finish or give up what is in flight, within a bound, and let go of every partition (eager protocol)."""

    async def on_assigned(self, assignment: Assignment) -> None:
        """Take the partitions over; no heartbeat is sent until this returns."""

    def positions(self) -> Mapping[TopicPartition, int]:
        """For every owned partition, the next offset to fetch."""
