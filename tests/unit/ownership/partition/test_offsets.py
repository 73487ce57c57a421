"""The order of a partition's offsets: records taken, applied and committed, replayed and passed over."""

from __future__ import annotations

import pytest

from tests.factories.partitions import new_entry, new_partition, take
from tests.factories.records import Record
from tests.unit.ownership.partition.steps import SECOND, applied
from worker.state.claims import Fence


def test_records_that_a_fetch_repeats_are_taken_once() -> None:
    partition = new_partition()
    records = [Record(offset, None, None) for offset in range(4)]
    assert partition.take(records[:3]) == records[:3]
    assert partition.take(records) == records[3:]
    assert partition.take(records) == []
    assert partition.taken == 4


def test_a_reset_goes_back_without_forgetting_what_was_published() -> None:
    partition = applied(new_partition(position=7, start=7, committed=9), "a", "b")
    partition.mark_lost()
    partition.reset(SECOND, 3, 9)
    assert (partition.taken, partition.applied, partition.committed, partition.position) == (3, 3, 9, None)
    assert partition.entry("a") is None
    assert partition.complete
    assert not partition.lost
    assert not partition.num_dirty


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
