"""Partitions taken, dropped and given up. What ends the process raises here, instead of ending the tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from typing import Any, NoReturn

import pytest

from tests.factories.fake_store import FakeStore
from tests.factories.partitions import (
    MEMBERSHIP,
    TOPIC,
    FakePublisher,
    new_entry,
    new_observers,
    new_partition,
    take,
    until,
)
from tests.factories.records import TWEETS
from tests.metric_names import value_of
from worker.errors import DependencyError
from worker.kafka.group_offsets import ExpelledError
from worker.kafka.producer import FencedError
from worker.kafka.protocol.offsets import Membership
from worker.kafka.transport.assignment import Assignment
from worker.ownership import manager as manager_module
from worker.ownership.checkpointer import Checkpointer
from worker.ownership.manager import PartitionManager
from worker.ownership.partition import Partition
from worker.ownership.processing_lock import ProcessingLock
from worker.process import CrashPoints
from worker.records.types import TopicPartition
from worker.settings import load_settings
from worker.state.claims import Verdict

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


class FakeLeader:
    """A group whose offset is 4 everywhere."""

    def bound(self, _: Partition) -> int:
        return 4


class Scenario:
    """A manager with fakes around it."""

    def __init__(self, *partitions: Partition, store: FakeStore | None = None, **flags: Any) -> None:
        self.settings = load_settings(**flags)
        self.metrics, self.health = new_observers()
        self.lock = ProcessingLock()
        self.group = FakeGroup()
        self.publishers: list[FakePublisher] = []
        self.taken_at_seeks: list[dict[TopicPartition, int]] = []
        takeover: Any = FakeTakeOver(*partitions)
        self.takeover = takeover
        observers = (self.metrics, self.health)
        any_store: Any = store or FakeStore()
        any_group: Any = self.group
        points = CrashPoints(None)
        checkpointer = Checkpointer(self.settings, any_store, takeover, self.lock, *observers, points)
        self.manager = PartitionManager(
            self.settings, any_group, self.new_publisher, takeover, checkpointer, self.lock, *observers, points
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
    async def bounded() -> Any:
        asyncio.get_running_loop().set_exception_handler(_unless_ended)
        return await asyncio.wait_for(scenario, BOUND_S)

    return asyncio.run(bounded())


def _unless_ended(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Tasks of a process that would have ended have nobody who looks at their exception."""
    if not isinstance(context.get("exception"), EndedError):
        loop.default_exception_handler(context)


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


# Refusals


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


# Logs that change


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
