"""Assigned partitions are taken over beside the consumer's callback, each as it becomes ready."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.factories.partitions import MEMBERSHIP, new_partition
from tests.factories.records import TWEETS
from tests.metric_names import value_of
from tests.unit.ownership.manager.scenario import SECOND, Scenario, run
from worker.errors import DependencyError
from worker.ownership.partition import Partition
from worker.records.types import TopicPartition


def test_assigned_partitions_are_read_from_where_they_begin() -> None:
    scene = Scenario(new_partition(position=3, start=3, committed=7))
    run(scene.assign())
    assert scene.manager.positions() == {TWEETS: 3}
    assert scene.taken_at_seeks == [{TWEETS: 3}]
    assert value_of(scene.metrics, "sentiment_owned_partitions") == 1
    assert value_of(scene.metrics, "sentiment_rebalances_total") == 1
    (publisher,) = scene.publishers
    assert publisher.started
    assert publisher.membership == MEMBERSHIP
    assert scene.takeover.calls == [({TWEETS}, publisher)]


def test_partitions_are_taken_over_beside_the_consumers_callback_each_as_it_becomes_ready() -> None:
    scene = Scenario(new_partition(), new_partition(tp=SECOND))
    owned: list[set[TopicPartition]] = []

    async def gate() -> None:
        owned.append(set(scene.manager.partitions))

    scene.takeover.gate = gate

    async def scenario() -> None:
        scene.begin(TWEETS, SECOND)
        assert scene.manager.partitions == {}
        await scene.manager.taken_over()

    run(scenario())
    assert owned == [set(), {TWEETS}]
    assert scene.manager.partitions.keys() == {TWEETS, SECOND}
    assert scene.taken_at_seeks == [{TWEETS: 0}, {TWEETS: 0, SECOND: 0}]


def test_partitions_come_between_two_micro_batches() -> None:
    scene = Scenario(new_partition())

    async def scenario() -> None:
        async with scene.lock:
            scene.begin()
            await asyncio.sleep(0.01)
            assert scene.manager.partitions == {}
        await scene.manager.taken_over()

    run(scenario())
    assert scene.manager.partitions.keys() == {TWEETS}


def test_a_take_over_that_fails_ends_the_process(ended: list[BaseException]) -> None:
    scene = Scenario(new_partition())
    scene.takeover.error = DependencyError("Redis", "there", "does not answer", "Start it")
    run(scene.assign())
    assert ended == [scene.takeover.error]


def test_an_assignment_of_nothing_is_one_that_is_taken_over() -> None:
    scene = Scenario()
    run(scene.assign())
    assert scene.manager.partitions == {}
    scene.health.progress()


class FakeLeader:
    """A group whose offset is 4 everywhere."""

    def bound(self, _: Partition) -> int:
        return 4


def test_a_shadow_is_bound_by_its_leader_in_what_it_owns_and_a_worker_by_nothing() -> None:
    leader: Any = FakeLeader()
    partition = new_partition()
    shadow, worker = Scenario(partition), Scenario(new_partition())
    shadow.manager._leader = leader

    async def scenario() -> None:
        assert shadow.manager.bound(TWEETS) is None
        await shadow.assign()
        await worker.assign()

    run(scenario())
    assert (shadow.manager.bound(TWEETS), worker.manager.bound(TWEETS)) == (4, None)
    partition.drop()
    assert shadow.manager.bound(TWEETS) is None
