"""Partitions taken, dropped and given up. What ends the process raises here, instead of ending the tests."""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

import pytest

from tests.factories import TWEETS, FakeProducer, FakeStore, new_entry, new_observers, new_partition, take
from tests.metric_names import value_of
from worker.kafka.assignment import Assignment
from worker.ownership import manager as manager_module
from worker.ownership.checkpointer import Checkpointer
from worker.ownership.manager import PartitionManager
from worker.ownership.partition import Partition
from worker.ownership.processing_lock import ProcessingLock
from worker.process import CrashPoints
from worker.settings import load_settings
from worker.state.store import Verdict

BOUND_S = 60


class EndedError(Exception):
    """The process would have ended."""


class FakeTakeOver:
    """Gives the partitions that it was made with."""

    def __init__(self, *partitions: Partition) -> None:
        self.partitions = partitions
        self.on_dropped: Any = None

    async def take_over(self, _: Assignment, on_dropped: Any) -> dict[Any, Partition]:
        self.on_dropped = on_dropped
        return {partition.tp: partition for partition in self.partitions}


class Scenario:
    """A manager with fakes around it."""

    def __init__(self, *partitions: Partition, store: FakeStore | None = None, **flags: Any) -> None:
        self.settings = load_settings(**flags)
        self.metrics, self.health = new_observers()
        self.lock = ProcessingLock()
        takeover: Any = FakeTakeOver(*partitions)
        self.takeover = takeover
        observers = (self.metrics, self.health)
        any_store: Any = store or FakeStore()
        checkpointer = Checkpointer(self.settings, any_store, takeover, self.lock, *observers, CrashPoints(None))
        self.manager = PartitionManager(self.settings, takeover, checkpointer, self.lock, *observers)

    async def assign(self) -> None:
        await self.manager.on_assigned(Assignment(frozenset(), commit_nothing))


async def commit_nothing(*_: Any) -> None:
    """What the consumer lends to an assignment."""


@pytest.fixture(autouse=True)
def ended(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Errors that ended the process."""
    errors: list[BaseException] = []

    def end(error: BaseException) -> NoReturn:
        errors.append(error)
        raise EndedError(str(error))

    monkeypatch.setattr(manager_module, "die", end)
    return errors


def run(scenario: Any) -> Any:
    return asyncio.run(asyncio.wait_for(scenario, BOUND_S))


def test_assigned_partitions_are_read_from_where_they_begin() -> None:
    scene = Scenario(new_partition(position=3, start=3, committed=7))
    run(scene.assign())
    assert scene.manager.positions() == {TWEETS: 3}
    assert value_of(scene.metrics, "sentiment_owned_partitions") == 1


def test_a_revocation_flushes_stops_the_producers_and_lets_go() -> None:
    producer, store = FakeProducer(), FakeStore()
    partition = new_partition(producer=producer)
    take(partition, 1)
    partition.apply({"a": new_entry()}, 1)
    scene = Scenario(partition, store=store)

    async def scenario() -> None:
        await scene.assign()
        await scene.manager.on_revoked()

    run(scenario())
    assert scene.manager.partitions == {}
    assert producer.stopped
    assert partition.position == 1
    assert value_of(scene.metrics, "sentiment_owned_partitions") == 0


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


def test_a_fenced_partition_is_counted_and_kept_until_the_group_takes_it_away() -> None:
    scene = Scenario(new_partition())

    async def scenario() -> None:
        await scene.assign()
        scene.takeover.on_dropped(scene.takeover.partitions[0], "redis")

    run(scenario())
    assert value_of(scene.metrics, "sentiment_fenced_total", by="redis") == 1
    assert TWEETS in scene.manager.partitions


def test_a_fenced_partition_that_the_group_leaves_here_ends_the_process(ended: list[BaseException]) -> None:
    scene = Scenario(
        new_partition(),
        session_timeout_s=0.02,
        heartbeat_interval_s=0.005,
        rebalance_timeout_s=0.03,
        revoke_timeout_s=0.02,
    )

    async def scenario() -> None:
        timer_raised = asyncio.Event()
        asyncio.get_running_loop().set_exception_handler(lambda *_: timer_raised.set())
        await scene.assign()
        scene.takeover.on_dropped(scene.takeover.partitions[0], "kafka")
        await timer_raised.wait()

    run(scenario())
    assert "starting over" in str(ended[0])


def test_a_fenced_static_member_ends_at_once_since_its_name_may_be_used_twice(ended: list[BaseException]) -> None:
    scene = Scenario(new_partition(), instance_id="one")

    async def scenario() -> None:
        await scene.assign()
        scene.takeover.on_dropped(scene.takeover.partitions[0], "kafka")

    with pytest.raises(EndedError, match="instance_id 'one'"):
        run(scenario())
