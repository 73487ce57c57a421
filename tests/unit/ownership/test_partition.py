"""What a partition remembers of its streams, and what it may forget."""

from __future__ import annotations

from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from model import ModelConfig, StreamState
from worker.ownership.partition import PARTIAL, Epoch, Partition
from worker.state.entry import StreamEntry

CONFIG = ModelConfig(num_words=1, num_buckets=1, embedding_size=1, hidden_size=1, summary_size=1, stream_size=2)


class NoPublisher:
    async def publish(self, outputs: object, next_offset: int) -> None: ...

    async def stop(self) -> None: ...


def new_partition(**changes: object) -> Partition:
    values = {
        "tp": TP("tweets", 0),
        "publisher": NoPublisher(),
        "epoch": Epoch(1, 0),
        "lineage": "1.0.1",
        "taken": 0,
        "applied": 0,
        "committed": 0,
        "position": None,
        "complete": True,
    }
    return Partition(**(values | changes))


def entry(num_records: int) -> StreamEntry:
    return StreamEntry(StreamState.empty(CONFIG), None, num_records, 0)


def test_a_state_that_is_being_committed_is_what_the_next_batch_sees() -> None:
    partition = new_partition()
    old, new = entry(1), entry(2)
    partition.apply({"a": old}, 1)
    partition.pending["a"] = new
    assert partition.entry("a") is new


def test_a_commit_leaves_the_later_pending_state_of_the_same_stream_in_place() -> None:
    partition = new_partition()
    first, second = entry(1), entry(2)
    partition.pending["a"] = second
    partition.apply({"a": first}, 1)
    assert partition.entry("a") is second
    assert partition.dirty == {"a": first}


def test_only_committed_states_are_dirty() -> None:
    partition = new_partition()
    partition.pending["a"] = entry(1)
    assert not partition.dirty


def test_a_partition_whose_memory_is_complete_knows_that_a_stream_has_no_state() -> None:
    assert new_partition().knows("never seen")
    assert not new_partition(complete=False).knows("never seen")


def test_an_evicted_stream_makes_the_memory_incomplete() -> None:
    partition = new_partition()
    partition.apply({"a": entry(1), "b": entry(1)}, 2)
    partition.dirty.clear()
    partition.evict(max_streams=1)
    assert not partition.knows("a")
    assert partition.knows("b")
    assert not partition.complete


@given(
    names=st.lists(st.text("abcdefgh", min_size=1, max_size=2), min_size=1, max_size=40),
    num_dirty=st.integers(0, 20),
    max_streams=st.integers(1, 20),
)
def test_what_redis_does_not_have_is_never_evicted(names: list[str], num_dirty: int, max_streams: int) -> None:
    partition = new_partition()
    partition.apply({name: entry(1) for name in names}, len(names))
    unflushed = dict(list(partition.dirty.items())[:num_dirty])
    partition.dirty = dict(unflushed)
    partition.evict(max_streams)
    assert unflushed.keys() <= partition.states.keys()


def test_a_restart_goes_back_without_forgetting_what_was_published() -> None:
    partition = new_partition(position=7, taken=9, applied=9, committed=9)
    partition.apply({"a": entry(1)}, 9)
    partition.restart("1.0.2", 3)
    assert (partition.taken, partition.applied, partition.committed, partition.position) == (3, 3, 9, None)
    assert partition.entry("a") is None
    assert not partition.dirty


def test_a_rebuild_below_the_commit_does_not_move_the_commit_back() -> None:
    partition = new_partition(committed=9)
    partition.apply({"a": entry(1)}, 4)
    assert (partition.applied, partition.committed) == (4, 9)


def test_the_name_of_a_lineage_tells_whether_the_past_is_unknown() -> None:
    assert new_partition(lineage="1.0.2" + PARTIAL).unknown_past
    assert not new_partition(lineage="1.0.2").unknown_past
