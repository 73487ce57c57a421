"""What is delivered of the fetches, what a seek drops, and when fetching waits."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from tests.unit.kafka.transport.bare_consumer import BOUND_S, FIRST, SECOND, BareConsumer, drain, fetched, records


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


def test_brokers_collect_nothing_while_a_batch_is_here_already() -> None:
    async def scenario() -> list[float]:
        consumer = BareConsumer()
        consumer.app.pacing = SimpleNamespace(fetch_wait_s=lambda: 0.03)
        found = [consumer.fetch_wait_s()]
        consumer.in_flight.add(FIRST, records(4))
        return [*found, consumer.fetch_wait_s()]

    assert asyncio.run(scenario()) == [0.03, 0.0]
