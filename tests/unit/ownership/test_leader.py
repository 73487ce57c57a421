"""How far a shadow may go."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from tests.factories.partitions import TOPIC, new_observers, new_partition
from tests.factories.records import TWEETS
from tests.metric_names import value_of
from worker.kafka.group import GroupOffsets
from worker.kafka.group_offsets import GroupOffset
from worker.ownership.leader import Leader
from worker.records.types import TopicPartition


class FakeGroup:
    """A group with this offset of tweets-0."""

    def __init__(self, offset: GroupOffset | None) -> None:
        self.offset = offset

    async def offsets(self, tps: Collection[TopicPartition], *, stable: bool) -> GroupOffsets:
        assert not stable, "offsets that may still move are held back by a busy group for ever"
        return GroupOffsets(dict.fromkeys(tps, self.offset), set())


def bound_at(offset: GroupOffset | None) -> tuple[int, float | None]:
    """The bound of a partition that is done up to 3, and the lag that is reported."""
    metrics = new_observers().metrics
    group: Any = FakeGroup(offset)
    leader, partition = Leader(group, metrics), new_partition(start=3, committed=3)
    assert leader.bound(partition) == 0
    asyncio.run(leader.look({TWEETS: partition}))
    lag = value_of(metrics, "sentiment_shadow_lag_records", topic="tweets", partition="0")
    return leader.bound(partition), lag


def test_a_shadow_may_go_as_far_as_the_group_has_come() -> None:
    assert bound_at(GroupOffset(7, TOPIC.topic_id)) == (7, 4)


def test_a_group_that_has_not_begun_with_the_topic_lets_a_shadow_do_nothing() -> None:
    assert bound_at(None) == (0, 0)
    assert bound_at(GroupOffset(7, "cluster/earlier")) == (0, 0)
