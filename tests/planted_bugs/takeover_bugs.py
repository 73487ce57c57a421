"""Bugs in taking over: predecessors, the group's offset, the log, and where a rebuild ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

from worker.kafka import group
from worker.kafka.log import Log, LogBounds
from worker.kafka.protocol.offsets import OffsetFetchRequest
from worker.ownership import plan
from worker.ownership.manager import PartitionManager
from worker.ownership.partition import Partition
from worker.ownership.predecessors import Predecessors
from worker.ownership.published import ProvenOffsets
from worker.records.types import TopicPartition

_FAR = 1 << 60


def _predecessors_without(name: str) -> AbstractContextManager[Any]:
    """Predecessors whose method of this name does nothing."""

    async def nothing(*_: Any) -> None: ...

    return mock.patch.object(Predecessors, name, nothing)


@contextmanager
def unstable_offset_read() -> Iterator[None]:
    """The group's offset is read while a transaction may still move it, before that is ended by its id."""
    request = OffsetFetchRequest
    unstable = mock.patch.object(group, "OffsetFetchRequest", lambda *a, **_: request(*a, require_stable=False))
    with unstable, _predecessors_without("end_known"):
        yield


def predecessor_not_ended() -> AbstractContextManager[Any]:
    """What a dead predecessor has open is left to its time-out."""
    return _predecessors_without("_end")


def lost_markers_left() -> AbstractContextManager[Any]:
    """Offsets that are held for want of markers, which brokers have lost, are waited for."""
    return _predecessors_without("_end_one_again")


def end_of_the_log_ignored() -> AbstractContextManager[Any]:
    """A log that was cut looks as long as it was."""
    bounds = Log.bounds

    async def endless(self: Log, tps: Any) -> dict[TopicPartition, LogBounds]:
        return {tp: found._replace(end=_FAR) for tp, found in (await bounds(self, tps)).items()}

    return mock.patch.object(Log, "bounds", endless)


@contextmanager
def topic_ids_ignored() -> Iterator[None]:
    """A topic of the same name is the same topic."""
    with (
        mock.patch.object(plan, "_is_same", lambda *_: True),
        mock.patch.object(PartitionManager, "_has_changed", lambda *_: False),
    ):
        yield


def group_offset_ignored() -> AbstractContextManager[Any]:
    """A take-over begins where the states are, whatever the group has committed."""
    offsets = group.Group.offsets

    async def none(self: Any, tps: Any, **how: Any) -> Any:
        found = await offsets(self, tps, **how)
        return found._replace(offsets=dict.fromkeys(found.offsets))

    return mock.patch.object(group.Group, "offsets", none)


def offsets_believed_while_they_load() -> AbstractContextManager[Any]:
    """An offset that the group tells is believed, whatever is published."""
    return mock.patch.object(ProvenOffsets, "_is_behind", lambda *_: False)


def rebuild_over_markers_never_ends() -> AbstractContextManager[Any]:
    """A partition is only done at a record."""
    return mock.patch.object(
        Partition, "is_done_at", lambda self, _: self.owned and self.applied == self.taken == self.committed
    )
