"""Refused commits: partitions are dropped and taken over again, or the expelled worker starts over."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.factories.partitions import MEMBERSHIP, TOPIC, new_partition, until
from tests.factories.records import TWEETS
from tests.metric_names import value_of
from tests.unit.ownership.manager.scenario import SECOND, Scenario, run
from worker.errors import DependencyError
from worker.kafka.group_offsets import ExpelledError
from worker.kafka.producer import FencedError
from worker.ownership.partition import Partition
from worker.records.types import TopicPartition


def refuse(scene: Scenario, by: Any = "kafka", *, tps: tuple[TopicPartition, ...] = (TWEETS,)) -> None:
    """Take over, and have a commit refused."""

    async def scenario() -> None:
        await scene.assign(*tps)
        scene.takeover.partitions = [new_partition(tp=tp) for tp in tps]
        scene.manager.on_refused(FencedError("47"), by)
        await scene.manager.taken_over()

    run(scenario())


def test_a_refusal_drops_every_partition_and_counts_each() -> None:
    first, second = new_partition(), new_partition(tp=SECOND)
    scene = Scenario(first, second)
    refuse(scene, "redis", tps=(TWEETS, SECOND))
    assert not first.owned
    assert not second.owned
    assert value_of(scene.metrics, "sentiment_fenced_total", by="redis") == 2


def test_where_the_group_still_counts_on_us_the_partitions_are_taken_over_again() -> None:
    before = new_partition()
    scene = Scenario(before)
    refuse(scene)
    assert scene.group.asked == [MEMBERSHIP]
    assert scene.manager.partitions[TWEETS] is not before
    assert scene.manager.partitions[TWEETS].owned
    first, second = scene.publishers
    assert scene.takeover.calls == [({TWEETS}, first), ({TWEETS}, second)]


def test_a_refusal_ends_the_take_over_that_is_under_way_with_the_publisher_that_was_refused() -> None:
    scene = Scenario(new_partition(), new_partition(tp=SECOND))
    reached_second = asyncio.Event()
    gates = iter([asyncio.sleep(0), reached_second.wait()])

    async def gate() -> None:
        if waiting := next(gates, None):
            await waiting

    scene.takeover.gate = gate

    async def scenario() -> None:
        scene.begin(TWEETS, SECOND)
        await until(lambda: TWEETS in scene.manager.partitions)
        await asyncio.sleep(0.01)
        again = [new_partition(), new_partition(tp=SECOND)]
        scene.takeover.partitions = again
        scene.manager.on_refused(FencedError("47"), "kafka")
        await scene.manager.taken_over()
        reached_second.set()
        await asyncio.sleep(0.01)
        assert list(scene.manager.partitions.values()) == again

    run(scenario())


def test_a_partition_of_a_worker_that_was_expelled_is_kept_until_the_group_takes_it_away() -> None:
    partition = new_partition()
    scene = Scenario(partition)
    scene.group.answers = [False]
    refuse(scene)
    assert not partition.owned
    assert scene.manager.partitions == {TWEETS: partition}
    assert scene.manager.positions() == {}
    assert len(scene.publishers) == 1


def quick(*partitions: Partition, **flags: Any) -> Scenario:
    """With which a worker that was expelled starts over after a moment."""
    bounds = {
        "session_timeout_s": 0.02,
        "heartbeat_interval_s": 0.005,
        "rebalance_timeout_s": 0.03,
        "revoke_timeout_s": 0.02,
    }
    return Scenario(*partitions, **bounds, **flags)


def test_a_worker_that_was_expelled_and_is_assigned_nothing_again_starts_over(ended: list[BaseException]) -> None:
    scene = quick(new_partition())
    scene.group.answers = [False]

    async def scenario() -> None:
        await scene.assign()
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        scene.manager.on_refused(FencedError("22"), "kafka")
        await until(lambda: bool(ended))

    run(scenario())
    assert "starting over" in str(ended[0])


def test_a_worker_that_was_expelled_and_is_assigned_partitions_again_goes_on(ended: list[BaseException]) -> None:
    scene = quick(new_partition())
    scene.group.answers = [False]

    async def scenario() -> None:
        await scene.assign()
        scene.manager.on_refused(FencedError("22"), "kafka")
        await scene.manager.taken_over()
        await scene.manager.on_revoked()
        await scene.assign()
        await asyncio.sleep(0.1)

    run(scenario())
    assert ended == []


def test_a_worker_that_is_expelled_while_it_takes_over_owns_nothing() -> None:
    scene = Scenario(new_partition())
    scene.takeover.error = ExpelledError("another worker has claimed tweets-0")
    run(scene.assign())
    assert scene.manager.partitions == {}
    run_without_assignment(scene)


def run_without_assignment(scene: Scenario) -> None:
    """Nothing is taken over any more until the next assignment."""

    async def scenario() -> None:
        scene.takeover.error = None
        scene.manager.look_at_topics({"tweets": TOPIC.topic_id})
        scene.manager.on_refused(FencedError("47"), "kafka")
        await scene.manager.taken_over()

    run(scenario())
    assert scene.manager.partitions == {}


def test_an_expelled_static_member_ends_at_once_since_its_name_may_be_used_twice(ended: list[BaseException]) -> None:
    scene = Scenario(new_partition(), instance_id="one")
    scene.group.answers = [False]
    refuse(scene)
    assert "instance_id 'one'" in str(ended[0])


def test_a_group_that_cannot_be_asked_ends_the_process(ended: list[BaseException]) -> None:
    scene = Scenario(new_partition())
    scene.group.answers = [DependencyError("Kafka", "here", "does not answer", "Start it")]
    refuse(scene)
    assert "does not answer" in str(ended[0])


def test_a_refusal_after_a_revocation_changes_nothing() -> None:
    scene = Scenario(new_partition())

    async def scenario() -> None:
        await scene.assign()
        await scene.manager.on_revoked()
        scene.manager.on_refused(FencedError("47"), "redis")
        await scene.manager.taken_over()

    run(scenario())
    assert scene.group.asked == []
    assert len(scene.publishers) == 1
