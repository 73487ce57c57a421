"""Partitions are given up at a revocation, within its time, and the worker joins again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.factories.fake_store import FakeStore
from tests.factories.partitions import MEMBERSHIP, new_entry, new_partition, take
from tests.metric_names import value_of
from tests.unit.ownership.manager.scenario import BOUND_S, EndedError, Scenario, run
from worker.errors import DependencyError
from worker.state.claims import Verdict


def test_a_revocation_cancels_the_take_over() -> None:
    scene = Scenario(new_partition())
    scene.takeover.gate = asyncio.Event().wait

    async def scenario() -> None:
        scene.begin()
        await asyncio.sleep(0.01)
        await scene.manager.on_revoked()
        scene.takeover.gate = None
        await scene.manager.taken_over()

    run(scenario())
    assert scene.manager.partitions == {}
    assert scene.takeover.calls


def test_a_revocation_of_a_take_over_that_waits_for_a_commit_lets_the_commit_end() -> None:
    scene = Scenario(new_partition())
    committed = []

    async def commit() -> None:
        await asyncio.sleep(0.02)
        committed.append(1)

    async def scenario() -> None:
        async with scene.lock:
            scene.lock.start_commit(commit())
        scene.begin()
        await asyncio.sleep(0.005)
        await scene.manager.on_revoked()

    run(scenario())
    assert committed == [1]


def test_a_revocation_flushes_and_lets_go() -> None:
    store = FakeStore()
    partition = new_partition()
    take(partition, 1)
    partition.apply({"a": new_entry()}, 1)
    scene = Scenario(partition, store=store)

    async def scenario() -> None:
        await scene.assign()
        await scene.manager.on_revoked()

    run(scenario())
    assert scene.manager.partitions == {}
    assert partition.position == 1
    assert value_of(scene.metrics, "sentiment_owned_partitions") == 0


def test_a_worker_whose_place_another_has_taken_ends_before_it_takes_it_back(ended: list[BaseException]) -> None:
    scene = Scenario(new_partition())
    scene.group.replaced = True

    async def scenario() -> None:
        await scene.assign()
        await scene.manager.on_revoked()
        with pytest.raises(EndedError, match="another worker has taken the place"):
            await scene.manager.on_rejoining()

    run(scenario())
    assert len(ended) == 1
    assert scene.group.asked == [MEMBERSHIP]


def test_a_coordinator_that_is_away_keeps_nobody_from_joining_again(ended: list[BaseException]) -> None:
    scene = Scenario(new_partition())
    scene.group.replaced = DependencyError("Kafka", "there", "does not answer", "Start it")
    run(scene.manager.on_rejoining())
    assert ended == []


def test_a_revocation_waits_for_the_commit_under_way() -> None:
    scene = Scenario(new_partition())
    done: list[int] = []

    async def commit() -> None:
        await asyncio.sleep(0)
        done.append(len(scene.manager.partitions))

    async def scenario() -> None:
        await scene.assign()
        async with scene.lock:
            scene.lock.start_commit(commit())
        await scene.manager.on_revoked()

    run(scenario())
    assert done == [1]


def test_work_that_outlasts_the_revocation_ends_the_process(ended: list[BaseException]) -> None:
    scene = Scenario(new_partition(), revoke_timeout_s=0.01)

    async def scenario() -> None:
        async with scene.lock:
            await scene.manager.on_revoked()

    with pytest.raises(EndedError, match="revoke_timeout_s"):
        run(scenario())
    assert len(ended) == 1


def test_a_flush_that_outlasts_the_revocation_is_left_to_the_next_owner() -> None:
    class SlowStore(FakeStore):
        async def flush(self, *_: Any) -> Verdict:
            await asyncio.sleep(BOUND_S)
            return Verdict.OK

    partition = new_partition()
    scene = Scenario(partition, store=SlowStore(), revoke_timeout_s=0.02)

    async def scenario() -> None:
        await scene.assign()
        await scene.manager.on_revoked()

    run(scenario())
    assert partition.position is None
    assert scene.manager.partitions == {}
