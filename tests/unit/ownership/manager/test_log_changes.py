"""Logs that change under the manager: cut, created again, or gone with their topic."""

from __future__ import annotations

import asyncio

import pytest

from tests.factories.partitions import TOPIC, new_partition
from tests.factories.records import TWEETS
from tests.metric_names import value_of
from tests.unit.ownership.manager.scenario import SECOND, Scenario, run


def test_a_log_that_does_not_hold_our_offset_is_looked_into_again_with_the_same_publisher() -> None:
    first, second = new_partition(), new_partition(tp=SECOND)
    scene = Scenario(first, second)

    async def scenario() -> None:
        await scene.assign(TWEETS, SECOND)
        scene.takeover.partitions = [new_partition()]
        scene.manager.on_out_of_range({TWEETS})
        assert not first.owned
        assert second.owned
        await scene.manager.taken_over()

    run(scenario())
    (publisher,) = scene.publishers
    assert scene.takeover.calls[1:] == [({TWEETS}, publisher)]
    assert scene.manager.partitions[TWEETS].owned
    assert scene.manager.partitions[SECOND] is second
    assert value_of(scene.metrics, "sentiment_fenced_total", by="kafka") == 0


def test_offsets_out_of_range_of_partitions_that_are_not_owned_are_left_alone() -> None:
    scene = Scenario(new_partition())

    async def scenario() -> None:
        await scene.assign()
        scene.manager.on_out_of_range({SECOND})
        await scene.manager.taken_over()

    run(scenario())
    assert len(scene.takeover.calls) == 1


@pytest.mark.parametrize(
    ("topic_ids", "num_calls"),
    [({"tweets": TOPIC.topic_id}, 1), ({"tweets": "cluster/2"}, 2), ({}, 1)],
    ids=["the same topic", "another topic of this name", "a topic that is gone"],
)
def test_partitions_of_another_topic_of_the_same_name_are_taken_over_again(
    topic_ids: dict[str, str], num_calls: int
) -> None:
    scene = Scenario(new_partition())

    async def scenario() -> None:
        await scene.assign()
        scene.manager.look_at_topics(topic_ids)
        await scene.manager.taken_over()

    run(scenario())
    assert len(scene.takeover.calls) == num_calls


def test_a_partition_whose_topic_is_gone_is_dropped_and_comes_back_with_its_topic() -> None:
    partition = new_partition()
    scene = Scenario(partition)

    async def scenario() -> None:
        await scene.assign()
        scene.manager.on_gone([TWEETS])
        assert not partition.owned
        scene.manager.look_at_topics({})
        await scene.manager.taken_over()
        assert len(scene.takeover.calls) == 1
        scene.takeover.partitions = [new_partition()]
        scene.manager.look_at_topics({"tweets": TOPIC.topic_id})
        await scene.manager.taken_over()

    run(scenario())
    assert scene.manager.partitions[TWEETS].owned
    assert scene.manager.positions() == {TWEETS: 0}


def test_while_partitions_are_taken_over_nothing_is_taken_over_again() -> None:
    scene = Scenario(new_partition())
    gate = asyncio.Event()
    scene.takeover.gate = gate.wait

    async def scenario() -> None:
        scene.begin()
        await asyncio.sleep(0.01)
        scene.manager.look_at_topics({"tweets": "cluster/2"})
        gate.set()
        await scene.manager.taken_over()

    run(scenario())
    assert len(scene.takeover.calls) == 1
