"""Whose transactions a take-over ends, and whose it never ends."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import pytest

from tests.factories.partitions import MEMBERSHIP, TOPIC, FakePublisher
from tests.factories.records import TWEETS
from worker.kafka.group_offsets import ExpelledError
from worker.kafka.protocol.offsets import Membership
from worker.ownership.predecessors import Predecessors
from worker.records.types import TopicPartition
from worker.settings import load_settings
from worker.state.claims import Claim

OURS = "sentiment:7:member:3"


class FakeGroup:
    """A coordinator that knows these transactions. over: those that ended, and how."""

    def __init__(self, *open_transactions: str, over: dict[str, str] | None = None) -> None:
        self.states = dict.fromkeys(open_transactions, "Ongoing") | (over or {})
        self.held: set[TopicPartition] = {TWEETS}
        self.ended: list[str] = []
        self.ended_again: list[tuple[str, bool]] = []
        self.member_ids = {MEMBERSHIP.member_id, "neighbour"}
        self.counts_on_us = True

    async def members(self) -> dict[str, str]:
        return dict.fromkeys(self.member_ids, "a worker at a host")

    async def is_member(self, _: Membership) -> bool:
        return self.counts_on_us

    async def transactions(self, states: Collection[str]) -> dict[str, str]:
        return {name: state for name, state in self.states.items() if state in states}

    async def transaction_state(self, transactional_id: str) -> str:
        return self.states.get(transactional_id, "")

    async def unstable(self, topics: Collection[str]) -> set[TopicPartition]:
        return {tp for tp in self.held if tp.topic in topics}

    async def end_transaction(self, transactional_id: str) -> None:
        self.ended.append(transactional_id)

    async def end_again(self, transactional_id: str, *, commit: bool) -> None:
        self.ended_again.append((transactional_id, commit))


def new_predecessors(group: FakeGroup, *known: str, membership: Membership = MEMBERSHIP) -> Predecessors:
    claims = {
        TopicPartition("tweets", number): Claim("token", 3, "one", predecessor, TOPIC)
        for number, predecessor in enumerate(known)
    }
    any_group: Any = group
    publisher = FakePublisher(membership=membership, transactional_id=OURS)
    return Predecessors(load_settings(), any_group, publisher, claims)


def ended(group: FakeGroup, *known: str, times: int = 1, **options: Any) -> list[str]:
    predecessors = new_predecessors(group, *known, **options)

    async def scenario() -> None:
        for _ in range(times):
            await predecessors.end([TWEETS])

    asyncio.run(scenario())
    return group.ended


def test_those_whom_redis_remembers_are_ended_once_each() -> None:
    group = FakeGroup()
    assert ended(group, "sentiment:6:dead:0", "sentiment:6:dead:0", "sentiment:5:older:0", times=3) == [
        "sentiment:5:older:0",
        "sentiment:6:dead:0",
    ]


def test_our_own_id_is_never_ended_whoever_names_it() -> None:
    assert ended(FakeGroup(OURS), OURS, "", times=2) == []


def test_where_redis_knows_nobody_the_brokers_are_asked() -> None:
    group = FakeGroup("sentiment:6:dead:0", "another:6:dead:0", "sentiment-2:6:dead:0", "sentiment-redrive")
    assert ended(group, "", times=3) == ["sentiment:6:dead:0"]


def test_the_brokers_are_asked_as_well_when_it_was_not_those_whom_redis_remembers() -> None:
    assert ended(FakeGroup("sentiment:4:dead:0"), "sentiment:6:dead:0") == ["sentiment:6:dead:0"]
    assert ended(FakeGroup("sentiment:4:dead:0"), "sentiment:6:dead:0", times=2) == [
        "sentiment:6:dead:0",
        "sentiment:4:dead:0",
    ]


def test_an_owner_of_version_0_1_is_ended_if_the_partition_is_taken_over_here() -> None:
    group = FakeGroup("sentiment-tweets-0", "sentiment-tweets-1", "sentiment-reviews-0")
    assert ended(group) == ["sentiment-tweets-0"]


def test_the_members_of_this_generation_are_left_alone() -> None:
    group = FakeGroup("sentiment:7:neighbour:0", "sentiment:6:earlier:0", "sentiment:6:neighbour:0", OURS)
    assert ended(group) == ["sentiment:6:earlier:0", "sentiment:6:neighbour:0"]


def test_a_later_or_equal_number_of_a_generation_from_before_the_coordinator_lost_some_is_ended() -> None:
    group = FakeGroup("sentiment:9:before:0", "sentiment:7:before:0", "sentiment:9:neighbour:0")
    assert ended(group) == ["sentiment:7:before:0", "sentiment:9:before:0", "sentiment:9:neighbour:0"]


def test_nobody_s_transaction_is_ended_once_the_group_goes_on_without_us() -> None:
    group = FakeGroup("sentiment:8:later:0")
    group.counts_on_us = False
    with pytest.raises(ExpelledError):
        ended(group)
    assert group.ended == []


def test_a_static_member_that_restarted_in_its_generation_ends_what_it_left_open() -> None:
    membership = Membership(7, "one-now", "one")
    group = FakeGroup("sentiment:7:one-before:0", "sentiment:7:one-now:0", "sentiment:7:two:0", "sentiment:7:one")
    group.member_ids = {"one-now", "two"}
    assert ended(group, membership=membership) == ["sentiment:7:one-before:0"]


def test_ids_that_only_look_alike_are_left_alone() -> None:
    assert ended(FakeGroup("sentiment", "sentiment-", "sentiment-x-0", "sentimental-6-dead-0", "-6-dead-0")) == []


# Markers that brokers have lost


def ended_again(group: FakeGroup, *known: str, times: int = 3) -> list[tuple[str, bool]]:
    predecessors = new_predecessors(group, *known)

    async def scenario() -> None:
        await predecessors.end_known()
        for _ in range(times):
            await predecessors.end([TWEETS])

    asyncio.run(scenario())
    return group.ended_again


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.ownership.predecessors._MARKERS_S", -1.0)


def test_what_is_over_is_not_ended_so_that_it_stays_known_how_it_ended() -> None:
    group = FakeGroup("sentiment:5:open:0", over={"sentiment:6:dead:0": "CompleteCommit"})
    assert ended_again(group, "sentiment:5:open:0", "sentiment:6:dead:0", "sentiment:4:unknown:0") == []
    assert group.ended == ["sentiment:4:unknown:0", "sentiment:5:open:0"]


@pytest.mark.usefixtures("no_patience")
def test_offsets_that_no_open_transaction_holds_get_the_markers_of_earlier_ones_again_the_latest_first() -> None:
    over = {
        "sentiment:7:neighbour:0": "CompleteCommit",
        "sentiment:4:dead:0": "CompleteAbort",
        "sentiment:6:dead:0": "CompleteCommit",
        "sentiment:5:dead:0": "Empty",
        "another:6:dead:0": "CompleteCommit",
        OURS: "CompleteCommit",
    }
    found = ended_again(FakeGroup(over=over), "sentiment:6:dead:0", times=9)
    assert found == [("sentiment:6:dead:0", True), ("sentiment:5:dead:0", False), ("sentiment:4:dead:0", False)]


@pytest.mark.usefixtures("no_patience")
def test_only_the_owner_of_the_first_held_partition_writes_markers_again() -> None:
    group = FakeGroup(over={"sentiment:6:dead:0": "CompleteCommit"})
    group.held = {TopicPartition("reviews", 3), TWEETS}
    assert ended_again(group) == []
    group.held = set()
    assert ended_again(group) == []


def test_markers_that_are_on_their_way_are_waited_for() -> None:
    assert ended_again(FakeGroup(over={"sentiment:6:dead:0": "CompleteCommit"})) == []


@pytest.mark.parametrize("stranger", ["payments-1", "other:6:member:0", "sentiment:6:member:x", "sentiment-orders-0"])
def test_an_id_in_redis_that_is_none_of_this_group_is_never_ended(stranger: str) -> None:
    assert ended(FakeGroup(stranger), stranger) == []
