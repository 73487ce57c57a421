"""What is asked of a group's coordinator: within a bound, and never misunderstood. The brokers are scripted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka.errors import GroupAuthorizationFailedError, KafkaConnectionError, KafkaError

from tests.factories.fake_brokers import FakeBrokers
from tests.factories.partitions import MEMBERSHIP
from worker.errors import DependencyError, RefusedError
from worker.kafka import group as group_module
from worker.kafka.brokers import UnsupportedRequestError
from worker.kafka.group import OPEN, Group, GroupOffsets
from worker.kafka.group_offsets import ExpelledError, GroupOffset
from worker.records.types import TopicPartition
from worker.settings import load_settings

FIRST, SECOND = TopicPartition("tweets", 0), TopicPartition("tweets", 1)
OFFSETS = {FIRST: GroupOffset(7, "cluster/1"), SECOND: GroupOffset(9)}
BOUND_S = 60

Question = Callable[[Group], Awaitable[Any]]


def ask(brokers: FakeBrokers, question: Question, request_timeout_s: float = BOUND_S / 2) -> Any:
    any_brokers: Any = brokers
    group = Group(load_settings(request_timeout_s=request_timeout_s), any_brokers, "g")
    return asyncio.run(asyncio.wait_for(question(group), BOUND_S))


def offsets(group: Group) -> Awaitable[GroupOffsets]:
    return group.offsets([FIRST, SECOND])


def commit(group: Group) -> Awaitable[None]:
    return group.commit(OFFSETS, MEMBERSHIP)


def is_member(group: Group) -> Awaitable[bool]:
    return group.is_member(MEMBERSHIP)


def open_transactions(group: Group) -> Awaitable[dict[str, str]]:
    return group.transactions(OPEN)


def end_transaction(group: Group) -> Awaitable[None]:
    return group.end_transaction("t")


async def never() -> None:
    await asyncio.sleep(3600)


# Offsets


def test_offsets_are_read_once_no_transaction_can_move_them() -> None:
    brokers = FakeBrokers()
    brokers.offsets = {FIRST: (7, "cluster/1")}
    assert ask(brokers, offsets) == GroupOffsets({FIRST: GroupOffset(7, "cluster/1"), SECOND: None}, set())
    (request,) = brokers.requests("OffsetFetch")
    assert request.require_stable
    assert (request.group, request.topics) == ("g", [("tweets", [0, 1], {})])


def test_an_offset_that_a_transaction_may_move_is_not_taken_for_none() -> None:
    found = ask(FakeBrokers(OffsetFetch=[{SECOND: 88}]), offsets)
    assert found == GroupOffsets({FIRST: None}, {SECOND})


def test_offsets_are_also_read_as_they_are_now() -> None:
    brokers = FakeBrokers()
    brokers.offsets = {FIRST: (7, "")}
    found = ask(brokers, lambda group: group.offsets([FIRST], stable=False))
    assert found == GroupOffsets({FIRST: GroupOffset(7)}, set())
    assert not brokers.requests("OffsetFetch")[0].require_stable


def test_an_offset_of_a_topic_that_is_gone_is_none() -> None:
    assert ask(FakeBrokers(OffsetFetch=[{SECOND: 3}]), offsets).offsets == {FIRST: None, SECOND: None}


@pytest.mark.parametrize("code", [14, 15, 16], ids=["loading", "not available", "not coordinator"])
def test_a_coordinator_that_is_not_ready_yet_is_asked_again(code: int) -> None:
    brokers = FakeBrokers(OffsetFetch=[code, code])
    brokers.offsets = {FIRST: (7, "")}
    assert ask(brokers, offsets).offsets == {FIRST: GroupOffset(7), SECOND: None}


@pytest.mark.parametrize("code", [30, {SECOND: 29}], ids=["of the group", "of a partition"])
def test_a_refusal_is_not_taken_for_a_group_without_offsets(code: Any) -> None:
    with pytest.raises(RefusedError, match="OffsetFetch of group g"):
        ask(FakeBrokers(OffsetFetch=[code]), offsets)


# Commits outside of transactions


def test_offsets_are_committed_in_the_name_of_the_member() -> None:
    brokers = FakeBrokers()
    ask(brokers, commit)
    (request,) = brokers.requests("OffsetCommit")
    assert (request.consumer_group, request.consumer_group_generation_id, request.consumer_id) == ("g", 7, "member")
    assert request.topics == [("tweets", [(0, 7, "cluster/1"), (1, 9, "")])]


@pytest.mark.parametrize("code", [22, 25, 27, 82, {SECOND: 22}])
def test_a_member_that_the_group_goes_on_without_commits_nothing(code: Any) -> None:
    with pytest.raises(ExpelledError, match="OffsetCommit"):
        ask(FakeBrokers(OffsetCommit=[code]), commit)


def test_a_commit_that_is_refused_names_its_error() -> None:
    with pytest.raises(RefusedError, match="OffsetCommit of group g with error 12"):
        ask(FakeBrokers(OffsetCommit=[12]), commit)


# Members


@pytest.mark.parametrize(("code", "expected"), [(0, True), (27, True), (22, False), (25, False), (82, False)])
def test_a_heartbeat_tells_whether_the_group_counts_on_us(code: int, expected: bool) -> None:
    brokers = FakeBrokers(Heartbeat=[code])
    assert ask(brokers, is_member) is expected
    (request,) = brokers.requests("Heartbeat")
    assert (request.group, request.generation_id, request.member_id) == ("g", 7, "member")


def test_a_heartbeat_that_is_refused_is_no_answer() -> None:
    with pytest.raises(RefusedError, match="Heartbeat of group g with error 30"):
        ask(FakeBrokers(Heartbeat=[30]), is_member)


@pytest.mark.parametrize(("code", "expected"), [(0, False), (22, False), (25, False), (27, False), (82, True)])
def test_a_static_member_learns_that_another_process_has_its_place(code: int, expected: bool) -> None:
    brokers = FakeBrokers(SyncGroup=[code])
    assert ask(brokers, lambda group: group.is_replaced(MEMBERSHIP._replace(instance_id="host"))) is expected
    (request,) = brokers.requests("SyncGroup")
    assert (request.group, request.generation_id, request.member_id) == ("g", 7, "member")
    assert (request.group_instance_id, request.group_assignment) == ("host", [])


def test_nobody_takes_the_place_of_a_dynamic_member() -> None:
    brokers = FakeBrokers()
    assert not ask(brokers, lambda group: group.is_replaced(MEMBERSHIP._replace(instance_id=None)))
    assert brokers.names == []


# Transactions


@pytest.mark.parametrize("busy", [51, 47, 90])
def test_a_transaction_is_ended_once_the_broker_says_so(monkeypatch: pytest.MonkeyPatch, busy: int) -> None:
    monkeypatch.setattr(group_module, "_RETRY_S", 0.0)
    brokers = FakeBrokers(InitProducerId=[busy, busy])
    ask(brokers, end_transaction)
    assert brokers.names == ["InitProducerId"] * 3
    assert {request.transactional_id for request in brokers.requests("InitProducerId")} == {"t"}


def test_a_transaction_that_may_not_be_ended_is_an_error() -> None:
    with pytest.raises(RefusedError, match="InitProducerId of t with error 53"):
        ask(FakeBrokers(InitProducerId=[53]), end_transaction)


def test_open_transactions_are_those_of_every_broker() -> None:
    brokers = FakeBrokers()
    brokers.transactions = {0: ["a"], 1: ["b", "c"]}
    assert ask(brokers, open_transactions) == dict.fromkeys("abc", "Ongoing")
    assert brokers.requests("ListTransactions")[0].states == ["Ongoing", "PrepareCommit", "PrepareAbort"]


@pytest.mark.parametrize(
    "answer", [KafkaConnectionError("gone"), UnsupportedRequestError(), never], ids=["away", "too old", "silent"]
)
def test_a_broker_that_cannot_tell_its_transactions_does_not_hide_those_of_the_others(answer: Any) -> None:
    brokers = FakeBrokers(ListTransactions=[answer])
    brokers.transactions = {0: ["a"], 1: ["b"]}
    assert ask(brokers, open_transactions, request_timeout_s=0.05) == {"b": "Ongoing"}


@pytest.mark.parametrize(("answer", "state"), [(0, "CompleteCommit"), (105, ""), (UnsupportedRequestError(), "")])
def test_the_state_of_a_transaction_is_nothing_where_it_is_unknown_or_the_broker_too_old(
    answer: Any, state: str
) -> None:
    assert ask(FakeBrokers(DescribeTransaction=[answer]), lambda group: group.transaction_state("t")) == state


def test_markers_are_written_again_by_a_transaction_without_records_over_all_outputs_and_the_group() -> None:
    brokers = FakeBrokers()
    brokers.num_partitions_of["sentiment.events"] = 2
    ask(brokers, lambda group: group.end_again("t", commit=True))
    assert brokers.names == ["InitProducerId", "AddPartitionsToTxn", "AddOffsetsToTxn", "EndTxn"]
    assert brokers.requests("AddPartitionsToTxn")[0].topics == [
        ("sentiment.deadletters", [0, 1, 2]),
        ("sentiment.events", [0, 1]),
        ("sentiment.shifts", [0, 1, 2]),
    ]
    assert brokers.requests("EndTxn")[0].transaction_result is True


def test_unstable_are_those_of_all_partitions_of_the_topics() -> None:
    brokers = FakeBrokers(OffsetFetch=[{TopicPartition("tweets", 2): 88}])
    assert ask(brokers, lambda group: group.unstable(["tweets"])) == {TopicPartition("tweets", 2)}


# Bounds


QUESTIONS = pytest.mark.parametrize(
    ("name", "question"),
    [("OffsetFetch", offsets), ("OffsetCommit", commit), ("Heartbeat", is_member), ("InitProducerId", end_transaction)],
    ids=["offsets", "commit", "is_member", "end_transaction"],
)


@QUESTIONS
def test_a_right_that_is_missing_is_a_refusal(name: str, question: Question) -> None:
    with pytest.raises(RefusedError, match=r"error 30"):
        ask(FakeBrokers(**{name: [GroupAuthorizationFailedError()]}), question)


@pytest.mark.parametrize("answer", [KafkaConnectionError("away"), never])
@QUESTIONS
def test_a_coordinator_is_waited_for_no_longer_than_the_request_timeout(
    name: str, question: Question, answer: Any
) -> None:
    reason = type(answer).__name__ if isinstance(answer, KafkaError) else "TimeoutError"
    with pytest.raises(DependencyError, match=rf"Kafka at .* does not answer \(.*{reason}"):
        ask(FakeBrokers(**{name: [answer]}), question, request_timeout_s=0.05)


def test_a_coordinator_that_never_gets_ready_is_given_up_within_the_request_timeout() -> None:
    with pytest.raises(DependencyError, match=r"Kafka at .* does not answer"):
        ask(FakeBrokers(OffsetFetch=[14] * 100_000), offsets, request_timeout_s=0.05)
