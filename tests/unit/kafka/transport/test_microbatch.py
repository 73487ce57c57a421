"""Batches grow while they wait, up to what fits, and are taken or dropped once."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.factories.records import Record
from tests.unit.kafka.transport.bare_consumer import BOUND_S, FIRST, SECOND, BareConsumer, drain, fetched, records
from worker.kafka.transport.microbatch import MicroBatch, size_bytes
from worker.records.types import TopicPartition


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


def test_records_fill_one_batch_after_another() -> None:
    consumer = BareConsumer(fetched(1, {FIRST: records(3), SECOND: records(3)}))
    drain(consumer)
    assert [batch.num_records for batch in consumer.queued] == [4, 2]
    assert (consumer.in_flight.num_records, consumer.in_flight.num_bytes) == (6, 6 * len(b"keyvalue"))
