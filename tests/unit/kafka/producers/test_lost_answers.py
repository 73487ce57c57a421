"""A commit whose answer does not come is undecided, and the next transaction begins behind its markers."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.errors import GroupAuthorizationFailedError, KafkaConnectionError, RequestTimedOutError

from tests.factories.partitions import MEMBERSHIP
from tests.unit.kafka.producers.scripted import BOUND_S, OFFSETS, RECORDS, WHOLE, Scenario, scripted
from worker.errors import UndecidedCommitError
from worker.kafka.group_offsets import GoneError


@pytest.mark.parametrize("name", sorted(WHOLE - {"InitProducerId", "Produce"}))
@pytest.mark.parametrize(
    "error", [KafkaConnectionError("gone"), GroupAuthorizationFailedError()], ids=lambda error: type(error).__name__
)
def test_a_coordinator_that_does_not_answer_leaves_the_commit_undecided(name: str, error: Exception) -> None:
    scene = Scenario(script={name: [error]})
    with pytest.raises(UndecidedCommitError, match="tweets-0 up to offset 7, tweets-1 up to offset 9 is undecided"):
        scene.commit()
    assert scene.results == ([True] if name == "EndTxn" else [])


@pytest.mark.parametrize("name", sorted(WHOLE - {"InitProducerId"}))
def test_a_commit_that_takes_too_long_is_undecided(name: str) -> None:
    async def never() -> None:
        await asyncio.sleep(BOUND_S)

    scene = Scenario(script={name: [never]}, commit_timeout_s=0.05)
    with pytest.raises(UndecidedCommitError, match="TimeoutError"):
        scene.commit()


def test_a_delivery_that_never_succeeds_is_undecided_and_never_committed() -> None:
    scene = Scenario(script={"Produce": [RequestTimedOutError()] * 10_000}, commit_timeout_s=0.05)
    with pytest.raises(UndecidedCommitError):
        scene.commit()
    assert scene.results == []


@pytest.mark.parametrize("name", ["EndTxn", "TxnOffsetCommit", "AddPartitionsToTxn"])
def test_after_a_lost_answer_the_next_transaction_has_another_epoch(name: str) -> None:
    # What the broker still carries out of the last transaction would end the next one, or move its offsets back.
    async def lose_the_first_answer() -> None:
        scene.brokers.num_unanswered += 1

    scene = scripted(**{name: [lose_the_first_answer]})
    scene.commit(times=3)
    names = [sent for sent in scene.brokers.names if sent in {"InitProducerId", "EndTxn"}]
    assert names == ["InitProducerId", "EndTxn", "EndTxn", "InitProducerId", "EndTxn", "EndTxn"]
    assert scene.results == [True, True, True, True]


def test_after_a_lost_answer_the_markers_of_what_was_committed_are_written_again_first() -> None:
    scene = scripted()
    scene.commit()
    assert not scene.producer.is_disturbed
    scene.brokers.num_unanswered += 1
    scene.brokers.is_answering = False
    assert not scene.producer.is_disturbed
    scene.brokers.is_answering = True
    assert scene.producer.is_disturbed
    asyncio.run(scene.producer.commit([], OFFSETS, "group", MEMBERSHIP))
    assert not scene.producer.is_disturbed
    names = scene.brokers.names
    again = names[names.index("EndTxn") + 1 :]
    assert again[:4] == ["AddPartitionsToTxn", "AddOffsetsToTxn", "EndTxn", "InitProducerId"]
    first, second = scene.brokers.requests("AddPartitionsToTxn")
    assert first.topics == second.topics


def test_an_answer_that_does_not_come_as_a_transaction_begins_has_it_begin_again_once_markers_are_written() -> None:
    """Before anything is in it: should it be aborted, the abort would take with it what lacks its markers."""
    scene = scripted()
    scene.commit()
    before = len(scene.brokers.names)

    async def lose_the_answer() -> None:
        scene.brokers.num_unanswered += 1

    scene.brokers.script["AddPartitionsToTxn"] = [lose_the_answer]
    asyncio.run(scene.producer.commit(RECORDS, OFFSETS, "group", MEMBERSHIP))
    names = scene.brokers.names[before:]
    assert names[:5] == [
        "AddPartitionsToTxn", "AddPartitionsToTxn", "AddOffsetsToTxn", "EndTxn", "InitProducerId",
    ]  # fmt: skip
    assert set(names[5:]) == WHOLE - {"InitProducerId"}
    assert scene.results == [True, True, True]


def test_what_was_aborted_is_not_committed_by_markers_that_are_written_again() -> None:
    scene = scripted(TxnOffsetCommit=[3])
    with pytest.raises(GoneError):
        scene.commit()
    scene.brokers.num_unanswered += 1
    assert not scene.producer.is_disturbed
    asyncio.run(scene.producer.commit(RECORDS, OFFSETS, "group", MEMBERSHIP))
    assert scene.results == [False, True]
