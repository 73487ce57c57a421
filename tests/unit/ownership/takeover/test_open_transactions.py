"""Transactions that a predecessor left open: offsets are read once they are ended."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from tests.factories.fake_store import FakeStore
from tests.factories.partitions import until
from tests.factories.records import TWEETS
from tests.unit.ownership.takeover.scenario import BOUND_S, SECOND, Scenario, at, flushed_store
from worker.errors import DependencyError
from worker.ownership import predecessors


def test_offsets_that_a_predecessor_holds_are_read_once_its_transaction_is_ended(kafka: SimpleNamespace) -> None:
    kafka.group.holds = {"sentiment:6:dead:0": {TWEETS}}
    kafka.group.committed[TWEETS] = at(9)
    partition = Scenario(flushed_store(position=7, predecessor="sentiment:6:dead:0")).take_over()
    assert kafka.group.ended == ["sentiment:6:dead:0"]
    assert partition.committed == 9


def test_a_predecessor_whom_redis_forgot_is_found_among_the_open_transactions(kafka: SimpleNamespace) -> None:
    kafka.group.holds = {"sentiment:6:dead:0": {TWEETS}, "sentiment:7:neighbour:0": set()}
    Scenario(FakeStore()).take_over()
    assert kafka.group.ended == ["sentiment:6:dead:0"]


def test_partitions_whose_offsets_are_certain_do_not_wait_for_the_others(kafka: SimpleNamespace) -> None:
    kafka.group.holds = {"sentiment:6:dead:0": {SECOND}}
    first, second = Scenario(flushed_store(7)).take_all(TWEETS, SECOND)
    assert (first.keys(), second.keys()) == ({TWEETS}, {SECOND})


def test_a_predecessor_that_holds_no_offsets_yet_is_ended_too_since_its_records_hold_back_readers(
    kafka: SimpleNamespace,
) -> None:
    Scenario(flushed_store(7, predecessor="sentiment:6:dead:0")).take_over()
    assert kafka.group.ended == ["sentiment:6:dead:0"]


def test_our_own_transaction_is_never_ended(kafka: SimpleNamespace) -> None:
    kafka.group.holds = {"sentiment:7:member:0": {TWEETS}}
    scene = Scenario(flushed_store(7, predecessor="sentiment:7:member:0"))

    async def scenario() -> None:
        taking = asyncio.create_task(anext(scene.takeover.take_over([TWEETS], scene.publisher)))
        await until(lambda: kafka.group.num_asked >= 5)
        kafka.group.holds = {}
        await taking

    asyncio.run(asyncio.wait_for(scenario(), BOUND_S))
    assert kafka.group.ended == []


def test_a_transaction_that_does_not_end_is_named_with_what_to_do(
    kafka: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka.group.holds = {"of another program": {TWEETS}}
    monkeypatch.setattr(predecessors, "_BROKER_CHECK_S", 0.0)
    scene = Scenario(FakeStore(), transaction_timeout_s=0.05, commit_timeout_s=0.01)
    with pytest.raises(DependencyError, match=r"tweets-0 does not end.*kafka-transactions\.sh"):
        scene.take_over()


def test_neither_shadow_nor_worker_ends_what_the_other_has_open(kafka: SimpleNamespace) -> None:
    Scenario(flushed_store(7, predecessor="sentiment.shadow.ff:6:dead:0")).take_over()
    Scenario(flushed_store(7, predecessor="sentiment:6:alive:0"), shadow=True, group="sentiment.shadow.ff").take_over()
    assert kafka.group.ended == []
