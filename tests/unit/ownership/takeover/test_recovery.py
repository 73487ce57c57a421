"""The recovery of states that Redis has lost: kept from memory, caught up with, or rebuilt."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from tests.factories.fake_store import FakeStore, Meta
from tests.factories.partitions import TOPIC, new_entry, new_partition, take
from tests.factories.records import TWEETS
from tests.unit.ownership.takeover.scenario import BOUND_S, Scenario, flushed_store
from worker.kafka.group_offsets import ExpelledError, GroupOffset
from worker.kafka.progress import Progress
from worker.ownership.partition import Partition
from worker.records.types import ResetReason
from worker.state.claims import Fence, Verdict


def recovered(scene: Scenario, partition: Partition) -> bool:
    return asyncio.run(asyncio.wait_for(scene.takeover.recover(partition), BOUND_S))


def flushed_partition(*streams: str, **changes: Any) -> Partition:
    partition = new_partition(**changes)
    take(partition, 1)
    partition.apply({stream: new_entry() for stream in streams}, 1)
    partition.flushed(partition.snapshot())
    return partition


def test_states_that_are_not_all_in_memory_are_rebuilt_from_the_log(kafka: SimpleNamespace) -> None:
    store = FakeStore()
    partition = new_partition(position=7, start=7, committed=7)
    assert recovered(Scenario(store), partition)
    assert (partition.taken, partition.committed, partition.position) == (0, 7, None)
    assert partition.fence == store.fence


def test_states_that_are_all_in_memory_are_kept_and_written_under_a_new_lineage(kafka: SimpleNamespace) -> None:
    store, partition = FakeStore(), flushed_partition("a")
    assert not recovered(Scenario(store), partition)
    assert partition.fence == store.fence
    assert partition.fence.lineage != "one"
    assert partition.snapshot().entries.keys() == {"a"}
    assert partition.taken == 1


def test_what_a_lineage_has_to_report_outlives_its_recovery(kafka: SimpleNamespace) -> None:
    partition = flushed_partition("a", lineage="one~moved")
    recovered(Scenario(FakeStore()), partition)
    assert partition.first_seen_reset(None) is ResetReason.MOVED


def test_states_that_nobody_touched_are_gone_on_with_under_another_claim(kafka: SimpleNamespace) -> None:
    store, partition = FakeStore(), flushed_partition("a")
    store.metas[TWEETS] = Meta("somebody", "", TOPIC.topic_id, 1, "one", 1)
    partition.mark_lost()
    assert not recovered(Scenario(store), partition)
    assert not partition.lost
    assert partition.fence == store.fence == Fence("0", "one", 1)
    assert partition.num_dirty == 0


def test_a_redis_that_was_rolled_back_is_caught_up_with_from_where_it_stands(kafka: SimpleNamespace) -> None:
    store = FakeStore()
    store.metas[TWEETS] = Meta("one", "", TOPIC.topic_id, 1, "one", 3)
    partition = new_partition(position=7, start=7, committed=7)
    assert recovered(Scenario(store), partition)
    assert (partition.taken, partition.committed, partition.position) == (3, 7, 3)
    assert not partition.complete


def test_a_redis_rolled_back_to_before_the_log_was_cut_is_not_caught_up_with(kafka: SimpleNamespace) -> None:
    store = FakeStore()
    store.metas[TWEETS] = Meta("one", "", TOPIC.topic_id, 1, "one", 3, num_resets=0)
    partition = new_partition(position=7, start=7, committed=7, published=Progress(1, 7))
    assert recovered(Scenario(store), partition)
    assert (partition.taken, partition.committed, partition.position) == (0, 7, None)


def test_states_of_which_one_cannot_be_decoded_are_rebuilt_although_the_claim_stands(kafka: SimpleNamespace) -> None:
    store = FakeStore()
    store.metas[TWEETS] = Meta("one", "", TOPIC.topic_id, 1, "one", 7)
    partition = new_partition(position=7, start=7, committed=7)
    bounded = asyncio.wait_for(Scenario(store).takeover.recover(partition, unreadable=True), BOUND_S)
    assert asyncio.run(bounded)
    assert (partition.taken, partition.committed, partition.position) == (0, 7, None)
    assert partition.fence == store.fence
    assert partition.fence.lineage != "one"


def test_a_recovery_claims_nothing_once_the_group_goes_on_without_us(kafka: SimpleNamespace) -> None:
    kafka.group.memberships = [False]
    store, partition = FakeStore(), new_partition()
    before = partition.fence
    with pytest.raises(ExpelledError):
        recovered(Scenario(store), partition)
    assert partition.fence == before
    assert store.metas == {}


def test_a_recovery_whose_claim_is_replaced_claims_again(kafka: SimpleNamespace) -> None:
    store, partition = FakeStore(None, Verdict.CHANGED), flushed_partition("a")
    assert not recovered(Scenario(store), partition)
    assert partition.fence == store.fence


def test_a_shadow_lets_go_of_a_partition_whose_states_a_worker_has_taken(kafka: SimpleNamespace) -> None:
    kafka.group.committed[TWEETS] = GroupOffset(7)
    store = flushed_store(7)
    scene = Scenario(store, shadow=True)
    partition = scene.take_over()
    store.served, store.metas[TWEETS].owner = {TWEETS}, "worker"
    assert not asyncio.run(scene.takeover.recover(partition))
    assert not partition.owned
    assert store.metas[TWEETS].owner == "worker"
