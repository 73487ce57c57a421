"""Whose transactions a take-over ends, and whose it never ends."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.factories import MEMBERSHIP, TOPIC, TWEETS, FakePublisher
from worker.kafka.protocol.offsets import Membership
from worker.ownership.predecessors import Predecessors
from worker.records.types import TopicPartition
from worker.settings import load_settings
from worker.state.store import Claim

OURS = "sentiment-7-member-3"


class FakeGroup:
    """A coordinator that knows these transactions."""

    def __init__(self, *open_transactions: str) -> None:
        self.open = set(open_transactions)
        self.ended: list[str] = []

    async def open_transactions(self) -> set[str]:
        return self.open

    async def end_transaction(self, transactional_id: str) -> None:
        self.ended.append(transactional_id)


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
    assert ended(group, "sentiment-6-dead-0", "sentiment-6-dead-0", "sentiment-5-older-0", times=3) == [
        "sentiment-5-older-0",
        "sentiment-6-dead-0",
    ]


def test_our_own_id_is_never_ended_whoever_names_it() -> None:
    assert ended(FakeGroup(OURS), OURS, "", times=2) == []


def test_where_redis_knows_nobody_the_brokers_are_asked() -> None:
    group = FakeGroup("sentiment-6-dead-0", "another-6-dead-0", "sentiment-redrive")
    assert ended(group, "", times=3) == ["sentiment-6-dead-0"]


def test_the_brokers_are_asked_as_well_when_it_was_not_those_whom_redis_remembers() -> None:
    assert ended(FakeGroup("sentiment-4-dead-0"), "sentiment-6-dead-0") == ["sentiment-6-dead-0"]
    assert ended(FakeGroup("sentiment-4-dead-0"), "sentiment-6-dead-0", times=2) == [
        "sentiment-6-dead-0",
        "sentiment-4-dead-0",
    ]


def test_an_owner_of_version_0_1_is_ended_if_the_partition_is_taken_over_here() -> None:
    group = FakeGroup("sentiment-tweets-0", "sentiment-tweets-1", "sentiment-reviews-0")
    assert ended(group) == ["sentiment-tweets-0"]


def test_members_of_this_generation_and_of_later_ones_are_left_alone() -> None:
    group = FakeGroup("sentiment-7-neighbour-0", "sentiment-8-later-0", "sentiment-6-earlier-0", OURS)
    assert ended(group) == ["sentiment-6-earlier-0"]


def test_a_static_member_that_restarted_in_its_generation_ends_what_it_left_open() -> None:
    membership = Membership(7, "one-now", "one")
    group = FakeGroup("sentiment-7-one-before-0", "sentiment-7-one-now-0", "sentiment-7-two-0", "sentiment-7-one")
    assert ended(group, membership=membership) == ["sentiment-7-one-before-0"]


def test_ids_that_only_look_alike_are_left_alone() -> None:
    assert ended(FakeGroup("sentiment", "sentiment-", "sentiment-x-0", "sentimental-6-dead-0", "-6-dead-0")) == []
