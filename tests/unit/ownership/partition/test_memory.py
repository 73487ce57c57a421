"""What a partition remembers of its streams, what it may forget, and what it flushes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories.partitions import new_entry, new_partition, take
from tests.unit.ownership.partition.steps import SECOND, applied, flush
from worker.ownership.lineage import lineage_name
from worker.records.types import ResetReason
from worker.state.claims import Fence, TopicInfo


def test_a_state_that_is_being_committed_is_what_the_next_batch_sees() -> None:
    partition = applied(new_partition(), "a")
    new = new_entry(2)
    partition.stage({"a": new})
    assert partition.entry("a") is new


def test_a_commit_leaves_the_later_staged_state_of_the_same_stream_in_place() -> None:
    partition = new_partition()
    first, second = new_entry(1), new_entry(2)
    partition.stage({"a": first})
    partition.stage({"a": second})
    take(partition, 1)
    partition.apply({"a": first}, 1)
    assert partition.entry("a") is second
    assert partition.snapshot().entries == {"a": first}


def test_only_committed_states_are_flushed() -> None:
    partition = new_partition()
    partition.stage({"a": new_entry()})
    assert partition.snapshot().entries == {}
    assert not partition.num_dirty


def test_a_partition_whose_memory_is_complete_knows_that_a_stream_has_no_state() -> None:
    assert new_partition().knows("never seen")
    assert not new_partition(position=0).knows("never seen")


def test_what_redis_answered_is_known_from_then_on() -> None:
    partition = new_partition(position=0)
    entry = new_entry()
    partition.remember([("a", entry), ("b", None)])
    assert partition.knows("a")
    assert partition.knows("b")
    assert (partition.entry("a"), partition.entry("b")) == (entry, None)


def test_an_evicted_stream_makes_the_memory_incomplete() -> None:
    partition = applied(new_partition(), "a", "b")
    flush(partition)
    partition.evict(max_streams=1)
    assert not partition.knows("a")
    assert partition.knows("b")
    assert not partition.complete


@given(
    names=st.lists(st.text("abcdefgh", min_size=1, max_size=2), min_size=1, max_size=40),
    later=st.lists(st.text("abcdefgh", min_size=1, max_size=2), max_size=20),
    max_streams=st.integers(1, 20),
)
def test_what_redis_does_not_have_is_never_evicted(names: list[str], later: list[str], max_streams: int) -> None:
    partition = applied(new_partition(), *names)
    flush(partition)
    applied(partition, *later)
    partition.evict(max_streams)
    assert all(partition.entry(name) is not None for name in later)
    assert partition.snapshot().entries.keys() == set(later)


def test_a_state_that_changed_during_a_flush_is_flushed_again() -> None:
    partition = applied(new_partition(), "a", "b")
    snapshot = partition.snapshot()
    applied(partition, "a")
    partition.flushed(snapshot)
    assert partition.position == 2
    assert partition.snapshot().entries.keys() == {"a"}


def test_a_flush_under_another_fence_cannot_be_taken_for_this_one() -> None:
    partition = applied(new_partition(), "a")
    snapshot = partition.snapshot()
    partition.rewrite(SECOND)
    with pytest.raises(AssertionError, match=r"under .*'one'.*, not under .*'two'"):
        partition.flushed(snapshot)


def test_a_rewrite_makes_every_state_dirty_under_a_new_lineage() -> None:
    partition = applied(new_partition(), "a", "b")
    flush(partition)
    partition.mark_lost()
    partition.rewrite(SECOND)
    assert not partition.lost
    snapshot = partition.snapshot()
    assert snapshot.fence == SECOND
    assert snapshot.entries.keys() == {"a", "b"}


def test_states_that_are_not_all_in_memory_cannot_be_rewritten() -> None:
    with pytest.raises(AssertionError, match="not in memory"):
        new_partition(position=0).rewrite(SECOND)


def test_a_claim_of_its_own_that_is_made_again_changes_nothing_but_the_owner() -> None:
    partition = applied(new_partition(), "a")
    partition.mark_lost()
    partition.renew("two")
    assert partition.fence == Fence("two", "one", None)
    assert not partition.lost
    assert partition.num_dirty == 1


@pytest.mark.parametrize("reset", [None, *ResetReason])
def test_a_stream_without_a_state_reports_what_became_of_its_lineage(reset: ResetReason | None) -> None:
    partition = new_partition(lineage=lineage_name("one", reset))
    assert partition.first_seen_reset(b"key") is reset
    assert partition.first_seen_reset(None) is reset


def test_a_stream_that_came_from_another_partition_reports_that() -> None:
    keys = [str(number).encode() for number in range(100)]
    grown = new_partition(topic=TopicInfo("", 8), num_partitions_before=3)
    reasons = {grown.first_seen_reset(key) for key in keys}
    assert reasons == {None, ResetReason.MOVED}
    assert grown.first_seen_reset(None) is None
    same = new_partition(topic=TopicInfo("", 8))
    assert {same.first_seen_reset(key) for key in keys} == {None}
