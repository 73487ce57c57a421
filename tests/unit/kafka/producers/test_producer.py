"""Whole batches of records, written once however often they are sent; the brokers are scripted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError, RequestTimedOutError
from aiokafka.record.memory_records import MemoryRecords

from tests.factories.fake_brokers import FakeBrokers
from worker.errors import DependencyError, RefusedError
from worker.kafka.producer import BatchProducer, FencedError, ProducerRecord, TooLargeError
from worker.records.types import TopicPartition
from worker.settings import load_settings

BOUND_S = 60
EVENTS = "sentiment.events"
FIRST, SECOND = TopicPartition(EVENTS, 0), TopicPartition(EVENTS, 1)
RECORDS = [
    ProducerRecord(EVENTS, 0, b"a", b"1", []),
    ProducerRecord(EVENTS, 1, b"b", b"2", [("h", b"x")]),
    ProducerRecord(EVENTS, 0, b"c", b"3", [], 12),
]


def new_producer(brokers: FakeBrokers, transactional_id: str | None = None, **flags: Any) -> BatchProducer:
    any_brokers: Any = brokers
    return BatchProducer(load_settings(**flags), any_brokers, transactional_id)


def run(call: Any) -> Any:
    return asyncio.run(asyncio.wait_for(call, BOUND_S))


def send(brokers: FakeBrokers, *sends: list[ProducerRecord], transactional_id: str | None = None) -> None:
    async def scenario() -> None:
        producer = new_producer(brokers, transactional_id)
        await producer.start()
        for records in sends:
            await producer.send(records)

    run(scenario())


def batches(brokers: FakeBrokers) -> list[tuple[TopicPartition, Any]]:
    """Every batch that was sent, decoded."""
    found = []
    for request in brokers.requests("Produce"):
        for topic, of_topic in request.topics:
            for number, data in of_topic:
                records = MemoryRecords(data)
                while records.has_next():
                    found.append((TopicPartition(topic, number), records.next_batch()))
    return found


def test_records_of_one_partition_are_one_batch_in_their_order() -> None:
    brokers = FakeBrokers()
    send(brokers, RECORDS)
    sent = {tp: [(r.key, r.value, r.headers) for r in batch] for tp, batch in batches(brokers)}
    assert sent == {FIRST: [(b"a", b"1", []), (b"c", b"3", [])], SECOND: [(b"b", b"2", [("h", b"x")])]}
    assert brokers.names == ["InitProducerId", "Produce"]
    (request,) = brokers.requests("Produce")
    assert (request.transactional_id, request.required_acks) == (None, -1)


def test_a_record_keeps_its_time_where_it_has_one() -> None:
    brokers = FakeBrokers()
    send(brokers, [RECORDS[2]])
    ((_, batch),) = batches(brokers)
    assert [record.timestamp for record in batch] == [12]


def test_a_null_value_and_a_null_key_are_sent_as_such() -> None:
    brokers = FakeBrokers()
    send(brokers, [ProducerRecord(EVENTS, 0, None, None, [])])
    ((_, batch),) = batches(brokers)
    assert [(record.key, record.value) for record in batch] == [(None, None)]


def test_the_output_partition_is_that_of_the_input_modulo_their_number() -> None:
    brokers = FakeBrokers()
    send(brokers, [ProducerRecord(EVENTS, 7, b"a", b"1", [])])
    assert [tp for tp, _ in batches(brokers)] == [TopicPartition(EVENTS, 7 % 3)]


def test_batches_of_a_producer_are_numbered_per_partition_without_a_gap() -> None:
    brokers = FakeBrokers()
    send(brokers, RECORDS, RECORDS)
    numbers = [(tp, batch.base_sequence, batch.producer_id, batch.producer_epoch) for tp, batch in batches(brokers)]
    assert numbers == [(FIRST, 0, 1, 0), (SECOND, 0, 1, 0), (FIRST, 2, 1, 0), (SECOND, 1, 1, 0)]


def test_sequence_numbers_begin_again_after_their_last() -> None:
    brokers = FakeBrokers()

    async def scenario() -> None:
        producer = new_producer(brokers)
        await producer.start()
        producer._sequences[FIRST] = (1 << 31) - 1
        await producer.send(RECORDS[:1])
        await producer.send(RECORDS[:1])

    run(scenario())
    assert [batch.base_sequence for _, batch in batches(brokers)] == [(1 << 31) - 1, 0]


def test_a_new_producer_id_begins_at_sequence_number_0() -> None:
    brokers = FakeBrokers()

    async def scenario() -> None:
        producer = new_producer(brokers)
        for _ in range(2):
            await producer.start()
            await producer.send(RECORDS[:1])

    run(scenario())
    assert [(batch.producer_id, batch.base_sequence) for _, batch in batches(brokers)] == [(1, 0), (2, 0)]


@pytest.mark.parametrize("transactional_id", [None, "t"])
def test_batches_say_whether_they_are_transactional(transactional_id: str | None) -> None:
    brokers = FakeBrokers()
    send(brokers, RECORDS[:1], transactional_id=transactional_id)
    ((_, batch),) = batches(brokers)
    assert batch.is_transactional == (transactional_id is not None)


def test_what_does_not_fit_a_batch_goes_into_the_next_which_is_sent_when_the_first_is_certain() -> None:
    brokers = FakeBrokers()
    value = b"x" * 100_000
    records = [ProducerRecord(EVENTS, 0, str(n).encode(), value, []) for n in range(5)]
    send(brokers, records)
    sent = [[record.key for record in batch] for _, batch in batches(brokers)]
    assert sent == [[b"0", b"1"], [b"2", b"3"], [b"4"]]
    assert [batch.base_sequence for _, batch in batches(brokers)] == [0, 2, 4]
    assert brokers.names.count("Produce") == 3


def test_a_record_larger_than_a_batch_is_a_batch_of_its_own() -> None:
    brokers = FakeBrokers()
    records = [ProducerRecord(EVENTS, 0, b"large", b"x" * 1_000_000, []), ProducerRecord(EVENTS, 0, b"small", b"y", [])]
    send(brokers, records)
    assert [[record.key for record in batch] for _, batch in batches(brokers)] == [[b"large"], [b"small"]]


def test_each_leader_is_sent_its_own_partitions() -> None:
    brokers = FakeBrokers()
    brokers.leader_of[SECOND] = 1
    send(brokers, RECORDS)
    assert [[number for _, found in r.topics for number, _ in found] for r in brokers.requests("Produce")] == [[0], [1]]


def test_a_batch_that_the_broker_has_already_counts_as_written() -> None:
    brokers = FakeBrokers(Produce=[RequestTimedOutError(), 46])
    send(brokers, RECORDS)
    first, second, *rest = batches(brokers)
    assert [tp for tp, _ in rest] == [FIRST, SECOND]
    assert [batch.base_sequence for _, batch in rest] == [first[1].base_sequence, second[1].base_sequence]


@pytest.mark.parametrize("code", [3, 5, 6, 7, 13, 19, 20, 56, 78])
def test_where_a_leader_moves_only_what_is_left_is_sent_again_as_it_was(code: int) -> None:
    brokers = FakeBrokers(Produce=[{SECOND: code}])
    send(brokers, RECORDS)
    first, second = brokers.requests("Produce")
    assert [(topic, [number for number, _ in found]) for topic, found in second.topics] == [(EVENTS, [1])]
    assert second.topics[0][1][0] == first.topics[0][1][1]
    assert brokers.num_refreshes == 1


def test_a_leader_that_does_not_answer_does_not_hold_up_the_others() -> None:
    brokers = FakeBrokers(Produce=[KafkaConnectionError("gone")])
    brokers.leader_of[SECOND] = 1
    send(brokers, RECORDS)
    assert len(brokers.requests("Produce")) == 3


@pytest.mark.parametrize("code", [45, 47, 48, 49, 52, 59, 90])
def test_a_producer_that_is_over_is_told_apart(code: int) -> None:
    with pytest.raises(FencedError, match=f"Produce.*{code}"):
        send(FakeBrokers(Produce=[code]), RECORDS)


def test_a_record_that_the_broker_does_not_take_is_an_error_that_names_it() -> None:
    with pytest.raises(
        RefusedError, match=r"Produce to sentiment\.events-0 with error 10: MESSAGE_SIZE_TOO_LARGE"
    ) as caught:
        send(FakeBrokers(Produce=[MessageSizeTooLargeError.errno]), RECORDS[:1])
    assert caught.value.code == MessageSizeTooLargeError.errno
    assert isinstance(caught.value, TooLargeError)
    assert (caught.value.refused, caught.value.undelivered) == (RECORDS[:1], [])


def test_a_batch_that_is_too_large_is_sent_in_smaller_ones_under_a_new_producer_id() -> None:
    brokers = FakeBrokers(Produce=[{FIRST: 10}])
    send(brokers, RECORDS, RECORDS)
    sent = [(tp, batch.producer_id, batch.base_sequence, [r.key for r in batch]) for tp, batch in batches(brokers)]
    assert sent[2:] == [
        (FIRST, 2, 0, [b"a"]),
        (FIRST, 2, 1, [b"c"]),
        (FIRST, 2, 2, [b"a"]),
        (SECOND, 2, 0, [b"b"]),
        (FIRST, 2, 3, [b"c"]),
    ]


def test_what_is_too_large_and_what_no_broker_has_yet_is_said_with_the_error() -> None:
    large = [ProducerRecord(EVENTS, n % 2, b"%d" % n, b"x" * (1 << 18) + b"y" * n, []) for n in range(4)]
    brokers = FakeBrokers(Produce=[0, {FIRST: 10}])
    small = [ProducerRecord(EVENTS, 0, b"s", b"1", []), ProducerRecord(EVENTS, 1, b"s", b"1", [])]
    with pytest.raises(TooLargeError) as caught:
        send(brokers, [small[0], large[0], small[1], large[1], large[2], small[0], large[3]])
    assert caught.value.refused == [large[0], large[2], large[3]], "those at least as large as the one refused"
    assert caught.value.undelivered == [small[0]], "small ones were in the first round, the second partition's is in"


def test_a_start_waits_for_the_end_of_what_the_id_had_open() -> None:
    brokers = FakeBrokers(InitProducerId=[51, 47, 14, 0])
    run(new_producer(brokers, "t", transaction_timeout_s=12, commit_timeout_s=5).start())
    requests = brokers.requests("InitProducerId")
    assert len(requests) == 4
    assert (requests[0].transactional_id, requests[0].transaction_timeout_ms) == ("t", 12_000)


def test_a_start_without_transactions_waits_for_a_broker_that_is_loading() -> None:
    brokers = FakeBrokers(InitProducerId=[14, 15, 0])
    run(new_producer(brokers).start())
    assert len(brokers.requests("InitProducerId")) == 3


def test_a_start_that_is_refused_says_so() -> None:
    with pytest.raises(RefusedError, match="InitProducerId with error 53"):
        run(new_producer(FakeBrokers(InitProducerId=[53]), "t").start())


@pytest.mark.parametrize("answer", [KafkaConnectionError("no broker"), lambda: asyncio.sleep(BOUND_S)])
def test_a_kafka_that_is_away_at_the_start_is_named(answer: Any) -> None:
    with pytest.raises(DependencyError, match=r"Kafka at .* does not answer"):
        run(new_producer(FakeBrokers(InitProducerId=[answer]), request_timeout_s=0.05).start())
