"""A take-over, with fakes for Kafka and Redis; the real ones are in tests/system."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Collection
from typing import Any

from tests.factories.fake_store import FakeStore, Meta
from tests.factories.partitions import TOPIC, FakePublisher, new_observers
from tests.factories.records import TWEETS
from worker.kafka.group import GroupOffsets
from worker.kafka.group_offsets import GroupOffset
from worker.kafka.log import LogBounds
from worker.kafka.progress import Progress
from worker.ownership.partition import Partition
from worker.ownership.takeover import TakeOver
from worker.records.types import TopicPartition
from worker.settings import load_settings

BOUND_S = 60
SECOND = TopicPartition("tweets", 1)


class FakeGroup:
    """What the coordinator says. holds: transactional id -> the partitions whose offsets it holds."""

    def __init__(self) -> None:
        self.committed: dict[TopicPartition, GroupOffset | None] = {}
        self.holds: dict[str, set[TopicPartition]] = {}
        self.ended: list[str] = []
        self.memberships: list[bool] = []
        self.num_asked = 0

    async def offsets(self, tps: Collection[TopicPartition]) -> GroupOffsets:
        self.num_asked += 1
        unstable = {tp for held in self.holds.values() for tp in held if tp in tps}
        return GroupOffsets({tp: self.committed.get(tp) for tp in tps if tp not in unstable}, unstable)

    async def is_member(self, _: Any) -> bool:
        return self.memberships.pop(0) if self.memberships else True

    async def members(self) -> dict[str, str]:
        return dict.fromkeys(("member", "neighbour"), "a worker at a host")

    async def end_transaction(self, transactional_id: str) -> None:
        self.ended.append(transactional_id)
        self.holds.pop(transactional_id, None)

    async def transactions(self, states: Collection[str]) -> dict[str, str]:
        return dict.fromkeys(self.holds, "Ongoing") if "Ongoing" in states else {}

    async def transaction_state(self, _: str) -> str:
        return "Ongoing"

    async def unstable(self, _: Collection[str]) -> set[TopicPartition]:
        return set()


class FakeLog:
    """What the leaders say: the same of every partition."""

    def __init__(self) -> None:
        self.topics = {"tweets": TOPIC}
        self.log = LogBounds(0, 50, 0, TOPIC.topic_id)
        self.gone: set[TopicPartition] = set()
        self.error: Exception | None = None

    async def topic_ids(self, names: Collection[str]) -> dict[str, str]:
        if self.error is not None:
            raise self.error
        return {name: self.topics[name].topic_id for name in names if name in self.topics}

    async def partition_counts(self, names: Collection[str]) -> dict[str, int]:
        return {name: self.topics[name].num_partitions for name in names if name in self.topics}

    async def bounds(self, tps: Collection[TopicPartition]) -> dict[TopicPartition, LogBounds]:
        return {tp: self.log for tp in tps if tp not in self.gone}


class FakePublished:
    """What the last events say, whatever is asked."""

    def __init__(self) -> None:
        self.said: dict[TopicPartition, Progress] = {}
        self.asked: list[tuple[dict[str, str], set[TopicPartition]]] = []

    async def progress(
        self, topic_ids: dict[str, str], tps: Collection[TopicPartition]
    ) -> dict[TopicPartition, Progress]:
        self.asked.append((topic_ids, set(tps)))
        return self.said


class Scenario:
    """A take-over of tweets-0, and of tweets-1 on request. Its tokens are 0, 1, 2, ..."""

    def __init__(self, store: Any, **flags: Any) -> None:
        observers = new_observers()
        self.metrics = observers.metrics
        self.publisher = FakePublisher()
        no_brokers: Any = None
        settings, tokens = load_settings(**flags), map(str, itertools.count())
        self.takeover = TakeOver(settings, no_brokers, store, observers, new_token=lambda: next(tokens))

    def take_all(self, *tps: TopicPartition) -> list[dict[TopicPartition, Partition]]:
        """What becomes ready, one after the other."""

        async def scenario() -> list[dict[TopicPartition, Partition]]:
            return [owned async for owned in self.takeover.take_over(tps or [TWEETS], self.publisher)]

        return asyncio.run(asyncio.wait_for(scenario(), BOUND_S))

    def take_over(self) -> Partition:
        (owned,) = self.take_all()
        return owned[TWEETS]


def flushed_store(position: int | None, topic_id: str = TOPIC.topic_id, predecessor: str = "") -> FakeStore:
    """A Redis in which an earlier owner left states of both partitions at `position`."""
    store = FakeStore()
    for tp in (TWEETS, SECOND):
        store.metas[tp] = Meta("earlier", predecessor, topic_id, 1, "lineage", position)
    return store


def at(offset: int) -> GroupOffset:
    return GroupOffset(offset, TOPIC.topic_id)
