"""What a partition remembers of its streams, what it may forget, and the order of its offsets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.factories.partitions import new_entry, new_partition, take
from tests.factories.records import Record
from worker.ownership.lineage import lineage_name
from worker.ownership.partition import Partition, Snapshot
from worker.records.types import ResetReason
from worker.state.claims import Fence, TopicInfo

SECOND = Fence("two", "two", None)


def applied(partition: Partition, *names: str) -> Partition:
    """`partition` with a record of each name taken, committed and applied."""
    end = partition.applied + len(names)
    take(partition, end)
    partition.apply({name: new_entry() for name in names}, end)
    return partition


def flush(partition: Partition) -> None:
    partition.flushed(partition.snapshot())


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


def test_records_that_a_fetch_repeats_are_taken_once() -> None:
    partition = new_partition()
    records = [Record(offset, None, None) for offset in range(4)]
    assert partition.take(records[:3]) == records[:3]
    assert partition.take(records) == records[3:]
    assert partition.take(records) == []
    assert partition.taken == 4


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


def test_a_reset_goes_back_without_forgetting_what_was_published() -> None:
    partition = applied(new_partition(position=7, start=7, committed=9), "a", "b")
    partition.mark_lost()
    partition.reset(SECOND, 3, 9)
    assert (partition.taken, partition.applied, partition.committed, partition.position) == (3, 3, 9, None)
    assert partition.entry("a") is None
    assert partition.complete
    assert not partition.lost
    assert not partition.num_dirty


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


def test_a_rebuild_below_the_commit_does_not_move_the_commit_back() -> None:
    partition = new_partition(committed=9)
    take(partition, 4)
    partition.apply({"a": new_entry()}, 4)
    assert (partition.applied, partition.committed) == (4, 9)


def test_a_reset_to_states_in_redis_finds_them_there_and_not_in_memory() -> None:
    partition = applied(new_partition(), "a", "b", "c")
    partition.reset(Fence("two", "one", 2), 2, 3)
    assert (partition.taken, partition.position) == (2, 2)
    assert not partition.complete
    assert not partition.knows("a")


def test_a_reset_may_take_back_what_a_truncated_log_does_not_hold_any_more() -> None:
    partition = new_partition(position=9, start=9, committed=9)
    partition.reset(SECOND, 0, 5)
    assert (partition.taken, partition.committed) == (0, 5)


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


def test_an_idle_partition_passes_what_holds_no_records() -> None:
    partition = applied(new_partition(), "a")
    partition.skip_to(5)
    assert (partition.taken, partition.applied, partition.committed, partition.position) == (5, 5, 5, None)
    assert partition.snapshot().position == 5


def test_nothing_is_passed_while_records_are_under_way_or_replayed() -> None:
    under_way = new_partition()
    take(under_way, 1)
    for partition, position in ((under_way, 5), (new_partition(committed=3), 2)):
        assert not partition.is_done_at(position)
        with pytest.raises(AssertionError, match="records are left"):
            partition.skip_to(position)


def test_a_rebuild_that_ends_in_markers_is_done_once_the_consumer_has_passed_them() -> None:
    partition = new_partition(committed=3)
    assert partition.is_done_at(3)
    partition.skip_to(3)
    assert (partition.taken, partition.applied, partition.committed) == (3, 3, 3)


def test_the_groups_offset_is_behind_until_it_is_what_is_done_here() -> None:
    partition = new_partition(position=5, start=5, committed=5, group_offset=9)
    assert partition.offset_is_behind
    partition.skip_to(5)
    assert not partition.offset_is_behind
    assert new_partition(committed=5).offset_is_behind, "the group has no offset"
    assert not new_partition(committed=5, group_offset=5).offset_is_behind
    new = new_partition()
    applied(new, "a")
    assert not new.offset_is_behind


def test_a_dropped_partition_is_neither_owned_nor_done() -> None:
    partition = new_partition()
    assert partition.is_done_at(0)
    partition.drop()
    assert not partition.owned
    assert not partition.is_done_at(0)


@pytest.mark.parametrize(
    ("position", "start", "committed"),
    [(5, 4, 9), (None, 5, 4)],
    ids=["position beyond applied", "applied beyond committed"],
)
def test_offsets_out_of_order_are_refused(position: int | None, start: int, committed: int) -> None:
    with pytest.raises(AssertionError, match=r"tweets-0: position"):
        new_partition(position=position, start=start, committed=committed)


def test_records_that_were_not_taken_cannot_be_applied() -> None:
    with pytest.raises(AssertionError, match="applied 1, taken 0"):
        new_partition().apply({}, 1)


class PartitionCalls(RuleBasedStateMachine):
    """Any sequence of the calls that the worker makes keeps the offsets in order and loses no state."""

    def __init__(self) -> None:
        super().__init__()
        self.partition = new_partition(position=2, start=2, committed=4)
        self.batches: list[tuple[dict[str, object], int]] = []
        self.snapshot: Snapshot | None = None
        self.num_lineages = 1

    def next_lineage(self) -> Fence:
        self.num_lineages += 1
        return Fence(str(self.num_lineages), str(self.num_lineages), None)

    @rule(count=st.integers(1, 5), overlap=st.integers(0, 3), names=st.lists(st.sampled_from("abc"), min_size=1))
    def take_and_stage(self, count: int, overlap: int, names: list[str]) -> None:
        first = max(0, self.partition.taken - overlap)
        offsets = range(first, self.partition.taken + count)
        new = self.partition.take([Record(offset, None, None) for offset in offsets])
        assert len(new) == count
        changed = {name: new_entry() for name in names}
        self.partition.stage(changed)
        self.batches.append((dict(changed), self.partition.taken))

    @precondition(lambda self: self.batches)
    @rule()
    def commit_and_apply(self) -> None:
        changed, offset = self.batches.pop(0)
        self.partition.apply(changed, offset)  # type: ignore[arg-type]

    @precondition(lambda self: self.snapshot is None)
    @rule()
    def begin_a_flush(self) -> None:
        self.snapshot = self.partition.snapshot()

    @precondition(lambda self: self.snapshot is not None)
    @rule(ok=st.booleans())
    def end_the_flush(self, ok: bool) -> None:
        assert self.snapshot is not None
        if ok:
            self.partition.flushed(self.snapshot)
        else:
            self.partition.mark_lost()
        self.snapshot = None

    @rule(max_streams=st.integers(1, 3))
    def evict(self, max_streams: int) -> None:
        self.partition.evict(max_streams)

    @precondition(lambda self: self.snapshot is None and not self.batches)
    @rule(back=st.integers(0, 9))
    def recover(self, back: int) -> None:
        if self.partition.complete:
            self.partition.rewrite(self.next_lineage())
        else:
            committed = self.partition.committed
            self.partition.reset(self.next_lineage(), max(0, committed - back), committed)

    @precondition(lambda self: not self.batches)
    @rule(further=st.integers(0, 5))
    def skip(self, further: int) -> None:
        position = self.partition.committed + further
        if self.partition.is_done_at(position):
            self.partition.skip_to(position)
            assert self.partition.is_done_at(position)
            assert not self.partition.offset_is_behind

    @invariant()
    def offsets_are_in_order(self) -> None:
        partition = self.partition
        assert (partition.position or 0) <= partition.applied <= partition.taken
        assert partition.applied <= partition.committed

    @invariant()
    def what_is_staged_or_dirty_is_known(self) -> None:
        known = {*self.partition.snapshot().entries, *(name for changed, _ in self.batches for name in changed)}
        assert all(self.partition.knows(name) for name in known)


TestPartitionCalls = PartitionCalls.TestCase
