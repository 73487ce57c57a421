"""A manager of partitions with fakes around it. What ends the process raises here, instead of ending the tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from typing import Any

from tests.factories.fake_store import FakeStore
from tests.factories.partitions import MEMBERSHIP, FakePublisher, new_observers
from tests.factories.records import TWEETS
from worker.kafka.protocol.offsets import Membership
from worker.kafka.transport.assignment import Assignment
from worker.ownership.checkpointer import Checkpointer
from worker.ownership.manager import PartitionManager
from worker.ownership.partition import Partition
from worker.ownership.processing_lock import ProcessingLock
from worker.records.types import TopicPartition
from worker.settings import load_settings

BOUND_S = 60
SECOND = TopicPartition("tweets", 1)


class EndedError(Exception):
    """The process would have ended."""


class FakeTakeOver:
    """Gives the partitions that it was made with, one after the other. gate: waited for before each."""

    def __init__(self, *partitions: Partition) -> None:
        self.partitions = list(partitions)
        self.gate: Callable[[], Any] | None = None
        self.error: Exception | None = None
        self.calls: list[tuple[set[TopicPartition], Any]] = []

    async def take_over(
        self, tps: Collection[TopicPartition], publisher: Any
    ) -> AsyncIterator[dict[TopicPartition, Partition]]:
        self.calls.append((set(tps), publisher))
        for partition in list(self.partitions):
            if self.gate is not None:
                await self.gate()
            if self.error is not None:
                raise self.error
            if partition.tp in tps:
                yield {partition.tp: partition}


class FakeGroup:
    """A coordinator; `answers` to whether we are a member, an error to raise among them."""

    def __init__(self) -> None:
        self.answers: list[bool | Exception] = []
        self.replaced: bool | Exception = False
        self.asked: list[Membership] = []

    async def is_replaced(self, membership: Membership) -> bool:
        self.asked.append(membership)
        if isinstance(self.replaced, Exception):
            raise self.replaced
        return self.replaced

    async def is_member(self, membership: Membership) -> bool:
        self.asked.append(membership)
        answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, Exception):
            raise answer
        return answer


class Scenario:
    """A manager with fakes around it."""

    def __init__(self, *partitions: Partition, store: FakeStore | None = None, **flags: Any) -> None:
        self.settings = load_settings(**flags)
        observers = new_observers()
        self.metrics, self.health = observers.metrics, observers.health
        self.lock = ProcessingLock()
        self.group = FakeGroup()
        self.publishers: list[FakePublisher] = []
        self.taken_at_seeks: list[dict[TopicPartition, int]] = []
        takeover: Any = FakeTakeOver(*partitions)
        self.takeover = takeover
        any_store: Any = store or FakeStore()
        any_group: Any = self.group
        checkpointer = Checkpointer(self.settings, any_store, takeover, self.lock, observers)
        self.manager = PartitionManager(
            self.settings, any_group, self.new_publisher, takeover, checkpointer, self.lock, observers
        )

    def new_publisher(self, membership: Membership) -> FakePublisher:
        self.publishers.append(FakePublisher(membership=membership))
        return self.publishers[-1]

    async def reseek(self) -> None:
        self.taken_at_seeks.append(dict(self.manager.positions()))

    def begin(self, *tps: TopicPartition) -> None:
        """The consumer's callback."""
        self.manager.on_assigned(Assignment(frozenset(tps or [TWEETS]), MEMBERSHIP, self.reseek))

    async def assign(self, *tps: TopicPartition) -> None:
        """The callback, and the take-over beside the heartbeats."""
        self.begin(*tps)
        await self.manager.taken_over()


def run(scenario: Any) -> Any:
    async def bounded() -> Any:
        asyncio.get_running_loop().set_exception_handler(_unless_ended)
        return await asyncio.wait_for(scenario, BOUND_S)

    return asyncio.run(bounded())


def _unless_ended(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Tasks of a process that would have ended have nobody who looks at their exception."""
    if not isinstance(context.get("exception"), EndedError):
        loop.default_exception_handler(context)
