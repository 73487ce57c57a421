"""What an assignment names, what a revocation drops, and how a stop drains."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from tests.unit.kafka.transport.bare_consumer import BOUND_S, FIRST, BareConsumer, FakeHandler, drain
from worker.kafka.protocol.offsets import Membership
from worker.kafka.transport import consumer as consumer_module


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
