"""Whatever calls a partition gets, and in whatever order: hypothesis looks for a sequence that breaks it."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.factories.partitions import new_entry, new_partition
from tests.factories.records import Record
from worker.ownership.partition import Snapshot
from worker.state.claims import Fence


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
