"""Batches that grow while they wait, what a seek drops, and how an assignment that fails ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from tests.factories import Record
from worker.kafka import consumer as consumer_module
from worker.kafka.assignment import Assignment
from worker.kafka.consumer import BatchConsumer
from worker.kafka.microbatch import MicroBatch, size_bytes
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


class BareConsumer(BatchConsumer):
    """Without Faust around it: one fetch comes back while the flow is stopped, and what is delivered is only noted."""

    def __init__(self) -> None:
        self.app = SimpleNamespace(should_stop=False)
        self.can_resume_flow, self.suspend_flow, self._stopped = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._limits = SimpleNamespace(max_inflight_records=100, max_inflight_bytes=100)
        self._in_flight_records = self._in_flight_bytes = 0
        self._seek_number, self._waiting = 1, []
        self._fetches = [(self._seek_number, {FIRST: records(2)})]
        self.delivered: list[TopicPartition] = []
        self.stop_flow()

    async def _wait_next_records(self, **_: float) -> Any:
        if self._fetches:
            return self._fetches.pop(), None
        self._stopped.set()
        return None, None

    async def wait(self, event: asyncio.Event) -> None:
        await event.wait()

    def _deliver(self, tp: TopicPartition, records: list[Any]) -> None:
        self.delivered.append(tp)


def delivered(
    before_the_flow_goes_on: Callable[[BareConsumer], None],
) -> tuple[list[TopicPartition], list[TopicPartition]]:
    """What is delivered while the flow is stopped, and after it went on."""

    async def scenario() -> tuple[Partitions, Partitions]:
        consumer = BareConsumer()
        draining = asyncio.create_task(consumer._drain_messages(consumer))
        for _ in range(10):
            await asyncio.sleep(0)
        early = list(consumer.delivered)
        before_the_flow_goes_on(consumer)
        consumer.resume_flow()
        await asyncio.wait_for(draining, BOUND_S)
        return early, consumer.delivered

    return asyncio.run(scenario())


def test_what_is_fetched_behind_a_seek_waits_for_the_flow_to_go_on() -> None:
    # delivered before, it would be cleared from the agent's queue: lost
    assert delivered(lambda _: None) == ([], [FIRST])


def test_what_waits_for_the_flow_is_dropped_when_another_seek_comes_first() -> None:
    assert delivered(BareConsumer._drop_fetched) == ([], [])


class FakeHandler:
    """Fails to take partitions over."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.assignments: list[Assignment] = []

    async def on_assigned(self, assignment: Assignment) -> None:
        self.assignments.append(assignment)
        raise self.error


def assign(handler: FakeHandler, monkeypatch: pytest.MonkeyPatch, *, stopping_after: bool) -> None:
    """An assignment of one partition; the app is stopping by the time at which the handler has failed."""
    consumer = BareConsumer()
    app: Any = SimpleNamespace(should_stop=False, commit_offset=None)
    consumer.app = app
    fake: Any = handler
    consumer._handler = fake

    async def on_assigned(assignment: Assignment) -> None:
        app.should_stop = stopping_after
        await FakeHandler.on_assigned(handler, assignment)

    monkeypatch.setattr(handler, "on_assigned", on_assigned)

    async def nothing(*_: Any) -> None: ...

    monkeypatch.setattr(driver.Consumer, "on_partitions_assigned", nothing)
    asyncio.run(asyncio.wait_for(consumer.on_partitions_assigned({TP("tweets", 0)}), BOUND_S))


def test_partitions_that_cannot_be_taken_over_end_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(error: BaseException) -> None:
        raise SystemExit(str(error))

    monkeypatch.setattr(consumer_module, "die", end)
    handler = FakeHandler(ValueError("no epoch"))
    with pytest.raises(SystemExit, match="no epoch"):
        assign(handler, monkeypatch, stopping_after=False)
    assert handler.assignments[0].tps == {FIRST}


def test_partitions_that_come_while_the_worker_stops_are_left_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    assign(FakeHandler(ValueError("closed")), monkeypatch, stopping_after=True)
