"""What is sent in a transaction, and what each refusal means. The brokers are scripted; integration has real ones."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from aiokafka.errors import GroupAuthorizationFailedError, KafkaConnectionError, RequestTimedOutError

from tests.factories import MEMBERSHIP, TWEETS
from tests.fake_brokers import FakeBrokers
from worker.errors import RefusedError, UndecidedCommitError
from worker.kafka import producer as producer_module
from worker.kafka import transaction as transaction_module
from worker.kafka.group_offsets import ExpelledError, GoneError, GroupOffset, raise_for_offsets
from worker.kafka.producer import FencedError, ProducerRecord, TooLargeError
from worker.kafka.transaction import TransactionalProducer
from worker.process import CrashPoints
from worker.records.types import TopicPartition
from worker.settings import load_settings

BOUND_S = 60
EVENTS = "sentiment.events"
SECOND = TopicPartition("tweets", 1)
RECORDS = [ProducerRecord(EVENTS, 0, b"a", b"1", []), ProducerRecord(EVENTS, 1, b"b", b"2", [])]
OFFSETS = {TWEETS: GroupOffset(7, "cluster/1"), SECOND: GroupOffset(9)}
PRODUCER_OVER = [45, 47, 48, 49, 52, 59, 90]
WHOLE = {"InitProducerId", "AddPartitionsToTxn", "Produce", "AddOffsetsToTxn", "TxnOffsetCommit", "EndTxn"}


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer_module, "_RETRY_S", 0.0)
    monkeypatch.setattr(transaction_module, "_RETRY_S", 0.0)


class Points(CrashPoints):
    """Notes the requests before each crash point."""

    def __init__(self, brokers: FakeBrokers) -> None:
        super().__init__(None)
        self.brokers = brokers
        self.reached: dict[str, list[str]] = {}

    def reach(self, name: str) -> None:
        self.reached[name] = self.brokers.names


class Scenario:
    """A producer that has started, on brokers that are scripted from there on."""

    def __init__(self, *, script: Mapping[str, Any] | None = None, **flags: Any) -> None:
        self.brokers = FakeBrokers(**dict(script or {}))
        self.points = Points(self.brokers)
        any_brokers: Any = self.brokers
        self.producer = TransactionalProducer(load_settings(**flags), any_brokers, "t", self.points)

    def commit(self, records: list[ProducerRecord] = RECORDS, times: int = 1) -> None:
        async def scenario() -> None:
            await self.producer.start()
            for _ in range(times):
                await self.producer.commit(records, OFFSETS, "group", MEMBERSHIP)

        asyncio.run(asyncio.wait_for(scenario(), BOUND_S))

    @property
    def results(self) -> list[bool]:
        """How each transaction was asked to end."""
        return [request.transaction_result for request in self.brokers.requests("EndTxn")]


def scripted(**script: Any) -> Scenario:
    return Scenario(script=script)


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
