"""What is sent in a transaction, and in which order. The brokers are scripted; integration has real ones."""

from __future__ import annotations

import asyncio

import pytest

from tests.factories.partitions import MEMBERSHIP
from tests.unit.kafka.producers.scripted import EVENTS, OFFSETS, RECORDS, WHOLE, Scenario, scripted
from worker.kafka.producer import ProducerRecord, TooLargeError
from worker.records.types import TopicPartition


def test_everything_is_accepted_before_the_commit_point() -> None:
    scene = scripted()
    scene.commit()
    names = scene.brokers.names
    assert names[:2] == ["InitProducerId", "AddPartitionsToTxn"]
    assert names[-1] == "EndTxn"
    assert set(names) == WHOLE
    assert len(names) == len(WHOLE)
    assert names.index("AddOffsetsToTxn") < names.index("TxnOffsetCommit")
    assert scene.results == [True]


def test_every_request_is_of_this_producer_and_the_offsets_are_in_the_members_name() -> None:
    scene = scripted()
    scene.commit()
    partitions, end = scene.brokers.requests("AddPartitionsToTxn")[0], scene.brokers.requests("EndTxn")[0]
    offsets, sent = scene.brokers.requests("AddOffsetsToTxn")[0], scene.brokers.requests("TxnOffsetCommit")[0]
    for request in (partitions, end, offsets, sent):
        assert (request.transactional_id, request.producer_id, request.producer_epoch) == ("t", 1, 0)
    assert partitions.topics == [(EVENTS, [0, 1])]
    assert offsets.group_id == sent.group == "group"
    assert (sent.generation, sent.member_id, sent.instance_id) == MEMBERSHIP
    assert sent.topics == [("tweets", [(0, 7, -1, "cluster/1", {}), (1, 9, -1, "", {})], {})]


def test_offsets_alone_are_a_transaction_without_partitions() -> None:
    scene = scripted()
    scene.commit([])
    assert scene.brokers.names == ["InitProducerId", "AddOffsetsToTxn", "TxnOffsetCommit", "EndTxn"]


def test_a_group_without_members_has_its_offsets_committed_in_nobodys_name() -> None:
    scene = scripted()

    async def commit() -> None:
        await scene.producer.start()
        await scene.producer.commit([], OFFSETS, "redrive")

    asyncio.run(commit())
    (sent,) = scene.brokers.requests("TxnOffsetCommit")
    assert (sent.generation, sent.member_id, sent.instance_id) == (-1, "", None)


def test_a_crash_between_the_steps_finds_them_where_their_names_say() -> None:
    scene = scripted()
    scene.commit()
    assert "Produce" in scene.points.reached["produced"]
    assert {"Produce", "TxnOffsetCommit"} <= set(scene.points.reached["offsets_sent"])
    assert "EndTxn" not in scene.points.reached["offsets_sent"]


@pytest.mark.parametrize("name", ["AddPartitionsToTxn", "AddOffsetsToTxn", "EndTxn"])
@pytest.mark.parametrize("code", [3, 7, 51, 55], ids=["unknown topic", "timed out", "concurrent", "not attempted"])
def test_a_coordinator_that_is_busy_is_asked_again(name: str, code: int) -> None:
    scene = Scenario(script={name: [code, code]})
    scene.commit()
    assert scene.brokers.names.count(name) == 3
    assert scene.results[-1]


@pytest.mark.parametrize("records", [RECORDS, []], ids=["with records", "offsets alone"])
def test_an_id_that_was_idle_for_too_long_is_renewed_and_everything_sent_again(records: list[ProducerRecord]) -> None:
    first = "AddPartitionsToTxn" if records else "AddOffsetsToTxn"
    scene = Scenario(script={first: [49]})
    scene.commit(records)
    names = scene.brokers.names
    assert names[:4] == ["InitProducerId", first, "InitProducerId", first]
    assert [request.producer_id for request in scene.brokers.requests(first)] == [1, 2]
    assert {request.producer_id for request in scene.brokers.requests("EndTxn")} == {2}
    assert scene.results == [True]


def test_batches_that_are_too_large_are_sent_in_smaller_ones_in_another_transaction() -> None:
    scene = scripted(Produce=[10, 0, 0])
    records = [RECORDS[0], RECORDS[0]._replace(key=b"c")]
    scene.commit(records)
    assert scene.results == [False, True]
    assert scene.brokers.names.count("InitProducerId") == 2, "sequence numbers begin again"
    assert scene.brokers.names.count("Produce") == 3


def test_a_record_that_is_too_large_is_named_and_nothing_is_committed() -> None:
    scene = scripted(Produce=[{TopicPartition(EVENTS, 1): 10}])
    with pytest.raises(TooLargeError) as caught:
        scene.commit()
    assert (caught.value.refused, caught.value.undelivered) == (RECORDS[1:], RECORDS[:1])
    assert scene.results == [False]
    assert scene.brokers.names[-1] == "InitProducerId"


def test_the_transactions_of_a_producer_follow_each_other() -> None:
    scene = scripted()
    scene.commit(times=3)
    assert scene.results == [True, True, True]
    assert scene.brokers.names.count("InitProducerId") == 1
