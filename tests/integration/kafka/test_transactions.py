"""Transactions of our own requests on a real broker: what a reader of committed records sees, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.kafka.scene import Scenario, Scene, member
from tests.kafka_tools import create_topics
from worker.kafka.group import OPEN, GroupOffsets
from worker.kafka.group_offsets import ExpelledError, GoneError, GroupOffset
from worker.kafka.producer import FencedError
from worker.kafka.protocol.offsets import Membership


def test_records_and_offsets_are_committed_as_one(run: Callable[[Scenario], None], seen: Any) -> None:
    async def scenario(scene: Scene) -> None:
        producer = await scene.new_producer()
        for number in range(3):
            await scene.commit(producer, b"%d" % number, number + 1)
        assert await scene.offset() == 3

    run(scenario)
    assert seen() == [b"0", b"1", b"2"]


def test_offsets_note_their_metadata(run: Callable[[Scenario], None]) -> None:
    async def scenario(scene: Scene) -> None:
        producer = await scene.new_producer()
        ids = await scene.log.topic_ids([scene.tp.topic])
        noted = GroupOffset(5, ids[scene.tp.topic])
        await producer.commit([], {scene.tp: noted}, scene.settings.group)
        await scene.offset()
        assert (await scene.offsets()).offsets == {scene.tp: noted}

    run(scenario)


def test_what_was_aborted_is_never_published_later(run: Callable[[Scenario], None], seen: Any) -> None:
    async def scenario(scene: Scene) -> None:
        producer = await scene.new_producer()
        stale = Membership(99, "nobody", None)
        async with member(scene):
            with pytest.raises(ExpelledError):
                await scene.commit(producer, b"aborted", 7, stale)
            assert await scene.offset() is None
        for number in range(3):
            await scene.commit(producer, b"%d" % number, number + 1)
        assert await scene.offset() == 3

    run(scenario)
    assert seen() == [b"0", b"1", b"2"]


def test_a_predecessors_open_transaction_is_ended_by_its_id_and_the_offsets_are_certain_then(
    run: Callable[[Scenario], None], seen: Any
) -> None:
    async def scenario(scene: Scene) -> None:
        dead = await scene.new_producer("dead")
        await scene.commit(dead, b"before", 1)
        await scene.stop_before_the_end(dead, b"open", 2)
        assert await scene.offsets() == GroupOffsets({}, {scene.tp})
        assert scene.id_of("dead") in await scene.group.transactions(OPEN)
        await scene.group.end_transaction(scene.id_of("dead"))
        assert await scene.offset() == 1
        assert scene.id_of("dead") not in await scene.group.transactions(OPEN)
        # It was only paused.
        with pytest.raises(FencedError):
            await dead._end(commit=True)
        with pytest.raises(FencedError):
            await scene.commit(dead, b"late", 9)
        await scene.commit(await scene.new_producer("next"), b"after", 2)
        assert await scene.offset() == 2

    run(scenario)
    assert seen() == [b"before", b"after"]


def test_a_second_producer_of_the_same_id_ends_what_the_first_had_open(
    run: Callable[[Scenario], None], seen: Any
) -> None:
    async def scenario(scene: Scene) -> None:
        first = await scene.new_producer()
        await scene.stop_before_the_end(first, b"open", 2)
        second = await scene.new_producer()
        with pytest.raises(FencedError):
            await first._end(commit=True)
        await scene.commit(second, b"after", 1)
        assert await scene.offset() == 1

    run(scenario)
    assert seen() == [b"after"]


def test_an_open_transaction_hides_later_ones_until_it_is_ended(run: Callable[[Scenario], None], seen: Any) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.stop_before_the_end(await scene.new_producer("dead"), b"open", 2)
        producer = await scene.new_producer("next")
        await producer.commit([scene.event(b"after")], {scene.second: GroupOffset(1)}, scene.settings.group)
        assert await asyncio.to_thread(seen) == []
        await scene.group.end_transaction(scene.id_of("dead"))

    run(scenario)
    assert seen() == [b"after"]


def test_a_topic_that_is_gone_is_named_and_the_other_partitions_go_on(
    run: Callable[[Scenario], None], seen: Any
) -> None:
    async def scenario(scene: Scene) -> None:
        producer = await scene.new_producer()
        offsets = {scene.tp: GroupOffset(1), scene.second: GroupOffset(1)}
        await scene.delete_topic(scene.second.topic)
        with pytest.raises(GoneError) as caught:
            await producer.commit([scene.event(b"aborted")], offsets, scene.settings.group)
        assert caught.value.tps == {scene.second}
        await scene.commit(producer, b"there", 1)
        assert await scene.offset() == 1

    run(scenario)
    assert seen() == [b"there"]


def test_a_topic_that_is_created_again_has_another_id(run: Callable[[Scenario], None]) -> None:
    async def scenario(scene: Scene) -> None:
        name = scene.second.topic
        before = (await scene.log.bounds([scene.second]))[scene.second]
        await scene.delete_topic(name)
        await asyncio.to_thread(create_topics, scene.settings.kafka, {name: 1})
        after = (await scene.log.bounds([scene.second]))[scene.second]
        assert (before.start, before.end) == (after.start, after.end) == (0, 0)
        assert before.topic_id.partition("/")[0] == after.topic_id.partition("/")[0]
        assert before.topic_id != after.topic_id

    run(scenario)
