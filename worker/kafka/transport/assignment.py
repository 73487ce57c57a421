"""What the consumer and those who own partitions tell each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import NamedTuple, Protocol

from worker.kafka.protocol.offsets import Membership
from worker.records.types import TopicPartition


class Assignment(NamedTuple):
    """The partitions that the group coordinator gave this worker, and the membership that they were given to.

    reseek: goes to the handler's positions; what was fetched before and not taken is dropped, and fetched again.
    """

    tps: frozenset[TopicPartition]
    membership: Membership
    reseek: Callable[[], Awaitable[None]]


class PartitionHandler(Protocol):
    """Receives assignments and revocations, in the order in which the group coordinator sends them."""

    async def on_revoked(self) -> None:
        """Finish or give up what is in flight, within a bound, and let go of every partition (eager protocol)."""

    async def on_rejoining(self) -> None:
        """The group is about to be joined again, once everything is let go of."""

    def on_assigned(self, assignment: Assignment) -> None:
        """Begin to take the partitions over. No heartbeat is sent until this returns, so nothing is awaited in it."""

    def on_out_of_range(self, tps: Collection[TopicPartition]) -> None:
        """The logs of these partitions do not hold the offsets of `positions`."""

    def positions(self) -> Mapping[TopicPartition, int]:
        """For every owned partition, the next offset to fetch."""

    def bound(self, tp: TopicPartition) -> int | None:
        """The first offset of which nothing may be processed yet; None where there is no such bound."""
