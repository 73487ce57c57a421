"""What each refusal within a transaction means, and which transactions are aborted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.factories.partitions import MEMBERSHIP
from tests.unit.kafka.producers.scripted import BOUND_S, OFFSETS, RECORDS, SECOND, Scenario, scripted
from worker.errors import RefusedError
from worker.kafka import transaction as transaction_module
from worker.kafka.group_offsets import ExpelledError, GoneError, raise_for_offsets
from worker.kafka.producer import FencedError

PRODUCER_OVER = [45, 47, 48, 49, 52, 59, 90]


@pytest.mark.parametrize("name", ["AddPartitionsToTxn", "Produce", "AddOffsetsToTxn", "TxnOffsetCommit"])
@pytest.mark.parametrize("code", [code for code in PRODUCER_OVER if code != 49])
def test_a_producer_that_is_over_before_the_commit_point_is_fenced(name: str, code: int) -> None:
    scene = Scenario(script={name: [code]})
    with pytest.raises(FencedError, match=name) as caught:
        scene.commit()
    assert not isinstance(caught.value, ExpelledError)
    assert scene.results == []


@pytest.mark.parametrize("code", PRODUCER_OVER)
def test_a_producer_that_is_over_at_the_commit_point_is_fenced(code: int) -> None:
    scene = scripted(EndTxn=[code])
    with pytest.raises(FencedError, match="EndTxn"):
        scene.commit()
    assert scene.results == [True]


@pytest.mark.parametrize("name", ["Produce", "AddOffsetsToTxn", "TxnOffsetCommit", "EndTxn"])
def test_an_id_that_is_forgotten_later_is_not_renewed_within_the_transaction(name: str) -> None:
    scene = Scenario(script={name: [49]})
    with pytest.raises(FencedError, match="49"):
        scene.commit()
    assert scene.brokers.names.count("InitProducerId") == 1


@pytest.mark.parametrize("code", [22, 25, 82], ids=["generation", "member", "instance"])
def test_a_member_that_the_group_goes_on_without_is_told_apart_and_its_transaction_aborted(code: int) -> None:
    scene = scripted(TxnOffsetCommit=[code])
    with pytest.raises(ExpelledError, match=str(code)):
        scene.commit()
    assert scene.results == [False]


def test_partitions_that_are_gone_are_named_and_the_transaction_aborted() -> None:
    scene = scripted(TxnOffsetCommit=[{SECOND: 3}])
    with pytest.raises(GoneError, match="tweets-1") as caught:
        scene.commit()
    assert caught.value.tps == {SECOND}
    assert scene.results == [False]


@pytest.mark.parametrize("code", [3, 22])
def test_what_is_refused_under_a_renewed_id_is_aborted_too(code: int) -> None:
    scene = scripted(AddPartitionsToTxn=[49], TxnOffsetCommit=[code])
    with pytest.raises((GoneError, ExpelledError)):
        scene.commit()
    assert scene.results == [False]


def test_an_abort_that_finds_the_producer_over_says_so() -> None:
    with pytest.raises(FencedError, match="EndTxn"):
        scripted(TxnOffsetCommit=[3], EndTxn=[47]).commit()


def test_a_transaction_is_aborted_only_once_its_records_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that arrives later would be part of no transaction, or of the next one."""
    offsets_refused = asyncio.Event()

    async def slow() -> None:
        await asyncio.wait_for(offsets_refused.wait(), BOUND_S)

    scene = scripted(Produce=[slow], TxnOffsetCommit=[3])

    def refuse(codes: Any) -> None:
        asyncio.get_running_loop().call_later(0.01, offsets_refused.set)
        raise_for_offsets(codes)

    monkeypatch.setattr(transaction_module, "raise_for_offsets", refuse)
    with pytest.raises(GoneError):
        scene.commit()
    assert scene.points.reached["produced"]
    assert scene.brokers.names[-1] == "EndTxn"
    asyncio.run(scene.producer.commit(RECORDS, OFFSETS, "group", MEMBERSHIP))
    assert scene.results == [False, True]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("AddPartitionsToTxn", 29),
        ("Produce", 10),
        ("AddOffsetsToTxn", 30),
        ("TxnOffsetCommit", 12),
        ("EndTxn", 53),
    ],
)
def test_what_asking_again_cannot_mend_is_refused_with_its_code(name: str, code: int) -> None:
    scene = Scenario(script={name: [code]})
    with pytest.raises(RefusedError, match=rf"{name}.*error {code}") as caught:
        scene.commit()
    assert caught.value.code == code
    assert scene.results == [name == "EndTxn"]
