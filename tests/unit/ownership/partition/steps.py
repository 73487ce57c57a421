"""Steps that a partition takes in many tests: records committed and applied, states flushed."""

from __future__ import annotations

from tests.factories.partitions import new_entry, take
from worker.ownership.partition import Partition
from worker.state.claims import Fence

SECOND = Fence("two", "two", None)


def applied(partition: Partition, *names: str) -> Partition:
    """`partition` with a record of each name taken, committed and applied."""
    end = partition.applied + len(names)
    take(partition, end)
    partition.apply({name: new_entry() for name in names}, end)
    return partition


def flush(partition: Partition) -> None:
    partition.flushed(partition.snapshot())
