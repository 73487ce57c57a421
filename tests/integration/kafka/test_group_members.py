"""Offsets are committed in the name of a member of the group, and a real broker refuses those who are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.kafka.scene import Scenario, Scene, later_membership_of, member
from worker.kafka.group_offsets import ExpelledError, GroupOffset


def test_a_member_commits_in_its_name_and_others_do_not(run: Callable[[Scenario], None], seen: Any) -> None:
    async def scenario(scene: Scene) -> None:
        producer = await scene.new_producer()
        async with member(scene) as (_, membership):
            assert await scene.group.is_member(membership)
            refused = [
                membership._replace(generation=membership.generation - 1),
                membership._replace(generation=membership.generation + 1),
                membership._replace(member_id="unknown"),
                membership._replace(instance_id="unknown"),
            ]
            for other in refused:
                with pytest.raises(ExpelledError):
                    await scene.commit(producer, b"refused", 9, other)
            assert not await scene.group.is_member(refused[0])
            assert not await scene.group.is_member(refused[2])
            await scene.commit(producer, b"accepted", 1, membership)
            assert await scene.offset() == 1

    run(scenario)
    assert seen() == [b"accepted"]


def test_a_member_of_the_generation_before_is_refused(run: Callable[[Scenario], None], seen: Any) -> None:
    async def scenario(scene: Scene) -> None:
        producer = await scene.new_producer()
        async with member(scene) as (first, before), member(scene):
            now = await later_membership_of(first, before)
            assert not await scene.group.is_member(before)
            with pytest.raises(ExpelledError):
                await scene.commit(producer, b"stale", 9, before)
            await scene.commit(producer, b"current", 1, now)

    run(scenario)
    assert seen() == [b"current"]


def test_a_static_member_whose_name_another_took_is_refused(run: Callable[[Scenario], None], seen: Any) -> None:
    async def scenario(scene: Scene) -> None:
        producer = await scene.new_producer()
        async with member(scene, "static") as (_, before), member(scene, "static") as (_, now):
            assert before.member_id != now.member_id
            with pytest.raises(ExpelledError):
                await scene.commit(producer, b"fenced", 9, before)
            await scene.commit(producer, b"current", 1, now)

    run(scenario)
    assert seen() == [b"current"]


def test_outside_of_transactions_offsets_are_fenced_by_the_member_too(run: Callable[[Scenario], None]) -> None:
    async def scenario(scene: Scene) -> None:
        async with member(scene) as (_, membership):
            with pytest.raises(ExpelledError):
                await scene.group.commit({scene.tp: GroupOffset(9)}, membership._replace(generation=99))
            await scene.group.commit({scene.tp: GroupOffset(3, "noted")}, membership)
            assert (await scene.offsets()).offsets == {scene.tp: GroupOffset(3, "noted")}

    run(scenario)
