"""Batches that grow while they wait, what a seek drops, and what an assignment names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from tests.factories import Record
from worker.kafka.protocol.offsets import Membership
from worker.kafka.transport import consumer as consumer_module
from worker.kafka.transport.assignment import Assignment
from worker.kafka.transport.consumer import BatchConsumer
from worker.kafka.transport.fetch_thread import Fetched
from worker.kafka.transport.microbatch import HeldRecords, InFlight, MicroBatch, size_bytes
from worker.records.types import TopicPartition

FIRST, SECOND = TopicPartition("tweets", 0), TopicPartition("tweets", 1)
BOUND_S = 60

Partitions = list[TopicPartition]


def records(count: int, start: int = 0) -> list[Any]:
    return [Record(start + n, b"key", b"value") for n in range(count)]


def test_a_batch_takes_in_what_fits_and_returns_the_rest() -> None:
    batch = MicroBatch(max_records=5)
    assert batch.add(FIRST, records(3)) == []
    rest = batch.add(SECOND, records(4))
    assert [record.offset for record in rest] == [2, 3]
    assert batch.full


def test_a_full_batch_is_not_waited_for() -> None:
    batch = MicroBatch(max_records=2)
    batch.add(FIRST, records(2))
    asyncio.run(asyncio.wait_for(batch.fill(max_wait_s=3600), BOUND_S))
    assert list(batch.take()) == [FIRST]


def test_a_batch_that_waits_keeps_growing_until_it_is_taken() -> None:
    async def scenario() -> dict[TopicPartition, list[Any]]:
        batch = MicroBatch(max_records=4)
        batch.add(FIRST, records(2))
        filling = asyncio.create_task(batch.fill(max_wait_s=3600))
        await asyncio.sleep(0)
        batch.add(FIRST, records(2, start=2))
        await asyncio.wait_for(filling, BOUND_S)
        return batch.take()

    assert [record.offset for record in asyncio.run(scenario())[FIRST]] == [0, 1, 2, 3]


def test_a_batch_that_does_not_fill_is_waited_for_no_longer_than_its_bound() -> None:
    batch = MicroBatch(max_records=4)
    batch.add(FIRST, records(1))
    asyncio.run(asyncio.wait_for(batch.fill(max_wait_s=0.001), BOUND_S))
    assert len(batch.take()[FIRST]) == 1


def test_a_batch_that_was_taken_or_dropped_has_nothing_left_to_take() -> None:
    batch = MicroBatch(max_records=4)
    batch.add(FIRST, records(1))
    batch.take()
    assert batch.take() == {}
    assert batch.closed


def test_the_size_of_records_is_that_of_their_keys_and_values() -> None:
    assert size_bytes([Record(0, b"key", b"value"), Record(1, None, None)]) == len(b"keyvalue")


class FakeHandler:
    """Owns what it says, and notes what it is called with; `error` is raised at an assignment."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.owned = {FIRST: 5}
        self.bounds: dict[TopicPartition, int] = {}
        self.assignments: list[Assignment] = []
        self.out_of_range: list[Collection[TopicPartition]] = []
        self.num_revoked = 0

    def positions(self) -> dict[TopicPartition, int]:
        return self.owned

    def bound(self, tp: TopicPartition) -> int | None:
        return self.bounds.get(tp)

    def on_assigned(self, assignment: Assignment) -> None:
        self.assignments.append(assignment)
        if self.error is not None:
            raise self.error

    def on_out_of_range(self, tps: Collection[TopicPartition]) -> None:
        self.out_of_range.append(tps)

    async def on_rejoining(self) -> None:
        assert self.num_revoked, "everything is let go of before"

    async def on_revoked(self) -> None:
        self.num_revoked += 1


class FakeThread:
    """The fetch thread: notes the seeks. Its coordinator says who we are."""

    def __init__(self) -> None:
        self.seeks: list[tuple[int, dict[TopicPartition, int]]] = []

    async def call_thread(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return await call(*arguments)

    async def seek_all(self, seek_number: int, positions: dict[TopicPartition, int]) -> None:
        self.seeks.append((seek_number, dict(positions)))

    def _ensure_consumer(self) -> Any:
        return SimpleNamespace(_coordinator=SimpleNamespace(member_id="member"))


class BareConsumer(BatchConsumer):
    """Without Faust around it: one fetch comes back while the flow is stopped, and batches are only noted."""

    def __init__(self, *fetches: Fetched, handler: FakeHandler | None = None, instance_id: str = "") -> None:
        app: Any = SimpleNamespace(
            should_stop=False, conf=SimpleNamespace(consumer_group_instance_id=instance_id), topics=None
        )
        self.app = app
        self.can_resume_flow, self.suspend_flow = asyncio.Event(), asyncio.Event()
        self._stopped, self._crashed = asyncio.Event(), asyncio.Event()
        self._limits = SimpleNamespace(max_inflight_records=100, max_inflight_bytes=100, max_batch=4)
        self.in_flight, self._positions = InFlight(self._limits), {}
        self._seek_number, self._waiting, self._held = 1, [], HeldRecords()
        self._fetches = list(fetches) or [fetched(1, {FIRST: records(2)})]
        self.handler: Any = handler or FakeHandler()
        self._handler = self.handler
        self.thread: Any = FakeThread()
        self._thread = self.thread
        self.queued: list[MicroBatch] = []
        self.stop_flow()

    async def _wait_next_records(self, **_: float) -> Any:
        if self._fetches:
            return self._fetches.pop(0), None
        self._stopped.set()
        return None, None

    async def wait(self, event: asyncio.Event) -> None:
        await event.wait()

    def _queue_for(self, _: TopicPartition) -> Any:
        return SimpleNamespace(force_put_nowait=self.queued.append)

    @property
    def delivered(self) -> Partitions:
        """The partitions with records in a batch that an agent would find."""
        return [tp for batch in self.queued for tp in batch._records]


def fetched(seek_number: int, of: dict[TopicPartition, list[Any]], **more: Any) -> Fetched:
    return Fetched(seek_number, of, more.pop("positions", {}), **more)


def drain(
    consumer: BareConsumer, before_the_flow_goes_on: Callable[[BareConsumer], None] = lambda _: None
) -> Partitions:
    """What is delivered while the flow is stopped, before it goes on."""

    async def scenario() -> Partitions:
        draining = asyncio.create_task(consumer._drain_messages(consumer))
        for _ in range(10):
            await asyncio.sleep(0)
        early = list(consumer.delivered)
        before_the_flow_goes_on(consumer)
        consumer.resume_flow()
        await asyncio.wait_for(draining, BOUND_S)
        return early

    return asyncio.run(scenario())


def test_what_is_fetched_behind_a_seek_waits_for_the_flow_to_go_on() -> None:
    # delivered before, it would be cleared from the agent's queue: lost
    consumer = BareConsumer()
    assert drain(consumer) == []
    assert consumer.delivered == [FIRST]


def test_what_waits_for_the_flow_is_dropped_when_another_seek_comes_first() -> None:
    consumer = BareConsumer()
    assert drain(consumer, BareConsumer._drop_fetched) == []
    assert consumer.delivered == []
    assert (consumer.in_flight.num_records, consumer.in_flight.num_bytes) == (0, 0)


def test_what_lies_behind_a_bound_waits_until_the_bound_moves_and_is_dropped_at_a_seek() -> None:
    consumer = BareConsumer(fetched(1, {FIRST: records(3)}, positions={FIRST: (3, 3)}))
    consumer.handler.bounds[FIRST] = 1
    drain(consumer)
    assert [batch.num_records for batch in consumer.queued] == [1]
    consumer.done(consumer.queued[0].take())
    assert consumer.release(), "all that is in flight waits"
    assert consumer.idle_positions() == {}
    consumer.handler.bounds[FIRST] = 2
    consumer.release()
    assert [record.offset for record in consumer.queued[-1].take()[FIRST]] == [1]
    consumer._drop_fetched()
    consumer.handler.bounds.clear()
    assert not consumer.release()
    assert len(consumer.queued) == 2


def test_a_position_behind_the_bound_is_not_idle() -> None:
    consumer = BareConsumer(fetched(1, {}, positions={FIRST: (7, 7)}))
    consumer.handler.bounds[FIRST] = 6
    drain(consumer)
    assert consumer.idle_positions() == {}
    consumer.handler.bounds[FIRST] = 7
    assert consumer.idle_positions() == {FIRST: 7}


def test_a_fetch_that_carries_the_number_of_an_earlier_seek_is_dropped() -> None:
    consumer = BareConsumer(
        fetched(0, {FIRST: records(2)}, positions={FIRST: (2, 9)}, out_of_range=frozenset([FIRST])),
        fetched(1, {SECOND: records(2)}),
    )
    drain(consumer)
    assert consumer.delivered == [SECOND]
    assert consumer.positions == {}
    assert consumer.handler.out_of_range == []


def test_offsets_that_a_log_does_not_hold_are_left_to_the_handler() -> None:
    consumer = BareConsumer(fetched(1, {}, out_of_range=frozenset([FIRST])))
    drain(consumer)
    assert consumer.handler.out_of_range == [{FIRST}]


def test_records_fill_one_batch_after_another() -> None:
    consumer = BareConsumer(fetched(1, {FIRST: records(3), SECOND: records(3)}))
    drain(consumer)
    assert [batch.num_records for batch in consumer.queued] == [4, 2]
    assert (consumer.in_flight.num_records, consumer.in_flight.num_bytes) == (6, 6 * len(b"keyvalue"))


def test_a_consumer_is_idle_where_nothing_is_in_flight() -> None:
    positions = {FIRST: (7, 9), SECOND: (5, 5)}
    consumer = BareConsumer(fetched(1, {FIRST: records(2)}, positions=positions))
    drain(consumer)
    assert consumer.positions == positions
    assert consumer.idle_positions() == {SECOND: 5}
    consumer.done(consumer.queued[0].take())
    assert consumer.idle_positions() == {FIRST: 7, SECOND: 5}


def test_positions_are_those_of_the_latest_fetch_that_has_some() -> None:
    consumer = BareConsumer(
        fetched(1, {}, positions={FIRST: (7, 9), SECOND: (5, 5)}),
        fetched(1, {}),
        fetched(1, {}, positions={FIRST: (8, 9)}),
    )
    drain(consumer)
    assert consumer.positions == {FIRST: (8, 9), SECOND: (5, 5)}


def test_a_seek_goes_to_the_handlers_positions_and_drops_what_was_fetched_before() -> None:
    consumer = BareConsumer(fetched(1, {FIRST: records(2)}, positions={FIRST: (7, 9)}))
    drain(consumer)
    asyncio.run(consumer.perform_seek())
    assert consumer.thread.seeks == [(2, {FIRST: 5})]
    assert consumer.positions == {}
    assert (consumer.in_flight.num_records, consumer.in_flight.num_bytes) == (0, 0)
    assert consumer.queued[0].take() == {}


def test_fetching_waits_until_there_is_room_for_more_records() -> None:
    consumer = BareConsumer(fetched(1, {FIRST: records(2)}), fetched(1, {SECOND: records(1)}))
    consumer._limits.max_inflight_records = 2

    async def scenario() -> None:
        consumer.resume_flow()
        draining = asyncio.create_task(consumer._drain_messages(consumer))
        await asyncio.sleep(0.01)
        assert consumer.delivered == [FIRST]
        consumer.done(consumer.queued[0].take())
        await asyncio.wait_for(draining, BOUND_S)

    asyncio.run(scenario())
    assert consumer.delivered == [SECOND]


# Assignments


@pytest.fixture
def faust_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What Faust's own consumer was called with."""
    calls: list[str] = []

    def noting(name: str) -> Any:
        async def note(*_: Any) -> None:
            calls.append(name)

        return note

    for name in ("on_partitions_assigned", "on_partitions_revoked"):
        monkeypatch.setattr(driver.Consumer, name, noting(name))
    return calls


def assign(consumer: BareConsumer) -> None:
    asyncio.run(asyncio.wait_for(consumer.on_partitions_assigned({TP("tweets", 0)}, 7), BOUND_S))


@pytest.mark.parametrize("instance_id", ["", "one"])
def test_an_assignment_names_the_membership_that_it_was_made_to(instance_id: str, faust_calls: list[str]) -> None:
    consumer = BareConsumer(instance_id=instance_id)
    assign(consumer)
    (assignment,) = consumer.handler.assignments
    assert assignment.tps == {FIRST}
    assert assignment.membership == Membership(7, "member", instance_id or None)
    assert faust_calls == ["on_partitions_assigned"]
    asyncio.run(assignment.reseek())
    assert consumer.thread.seeks == [(2, {FIRST: 5})]


def test_an_assignment_that_the_handler_cannot_take_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, faust_calls: list[str]
) -> None:
    def end(error: BaseException) -> None:
        raise SystemExit(str(error))

    monkeypatch.setattr(consumer_module, "die", end)
    with pytest.raises(SystemExit, match="no loop"):
        assign(BareConsumer(handler=FakeHandler(ValueError("no loop"))))
    assert faust_calls == []


def test_partitions_that_come_while_the_worker_stops_are_left_to_the_others(faust_calls: list[str]) -> None:
    consumer = BareConsumer()
    consumer.app.should_stop = True  # type: ignore[misc]
    assign(consumer)
    assert consumer.handler.assignments == []
    assert faust_calls == ["on_partitions_assigned"]


def test_a_revocation_drops_what_was_fetched_before_the_handler_lets_go(faust_calls: list[str]) -> None:
    consumer = BareConsumer()
    drain(consumer)
    asyncio.run(consumer.on_partitions_revoked({TP("tweets", 0)}))
    assert (consumer.in_flight.num_records, consumer.in_flight.num_bytes) == (0, 0)
    assert consumer.queued[0].closed
    assert consumer.handler.num_revoked == 1
    assert not consumer.flow_active
    assert faust_calls == ["on_partitions_revoked"]


def test_a_stop_drains_as_a_revocation_does_and_leaves_the_process_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds: list[float] = []
    monkeypatch.setattr(consumer_module, "end_within", bounds.append)
    consumer = BareConsumer()
    asyncio.run(consumer.wait_empty())
    assert (consumer.handler.num_revoked, bounds) == (0, [])
    consumer.app.should_stop = True  # type: ignore[misc]
    asyncio.run(consumer.wait_empty())
    assert consumer.handler.num_revoked == 1
    assert len(bounds) == 1


def test_faust_commits_nothing() -> None:
    assert not asyncio.run(BareConsumer().force_commit())


def test_brokers_collect_nothing_while_a_batch_is_here_already() -> None:
    async def scenario() -> list[float]:
        consumer = BareConsumer()
        consumer.app.pacing = SimpleNamespace(fetch_wait_s=lambda: 0.03)
        found = [consumer.fetch_wait_s()]
        consumer.in_flight.add(FIRST, records(4))
        return [*found, consumer.fetch_wait_s()]

    assert asyncio.run(scenario()) == [0.03, 0.0]
