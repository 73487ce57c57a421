"""The group that a shadow follows: how far it has come bounds what the shadow may process."""

from __future__ import annotations

from collections.abc import Mapping

from worker.kafka.group import Group
from worker.kafka.group_offsets import GroupOffset
from worker.monitoring.metrics import Metrics
from worker.ownership.partition import Partition
from worker.ownership.plan import is_stale
from worker.records.types import TopicPartition


class Leader:
    """The offsets that the running group has committed, as of the last look.

    What an open transaction may add to them is left out, so that they are never ahead of the group: the states of a
    shadow that stays below them can be gone on with by a worker of the group, which takes over at its offset or later.
    """

    def __init__(self, group: Group, metrics: Metrics) -> None:
        self._group = group
        self._metrics = metrics
        self._offsets: Mapping[TopicPartition, GroupOffset | None] = {}

    async def look(self, partitions: Mapping[TopicPartition, Partition]) -> None:
        """Ask how far the group has come in `partitions`. Raises DependencyError."""
        owned = {tp: partition for tp, partition in partitions.items() if partition.owned}
        if owned:
            self._offsets = (await self._group.offsets(owned, stable=False)).offsets
        self._metrics.behind_leader({tp: max(0, self.bound(one) - one.committed) for tp, one in owned.items()})

    def bound(self, partition: Partition) -> int:
        """The first offset that the shadow leaves alone for now: 0 where the group has not begun with this topic."""
        offset = self._offsets.get(partition.tp)
        if offset is None or is_stale(offset.metadata, partition.topic.topic_id):
            return 0
        return offset.offset
