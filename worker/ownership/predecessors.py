"""Ends the transactions that earlier owners of partitions left open: step 7c of a take-over."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Collection, Mapping

from worker.kafka.group import Group
from worker.ownership.publisher import Publisher
from worker.records.types import TopicPartition
from worker.settings import Settings
from worker.state.store import Claim

logger = logging.getLogger(__name__)


class Predecessors:
    """The earlier owners of the partitions of one assignment, by their transactional ids.

    It is safe to end what they have open: nobody who is alive and assigned still uses an id of an earlier assignment.
    """

    def __init__(
        self, settings: Settings, group: Group, publisher: Publisher, claims: Mapping[TopicPartition, Claim]
    ) -> None:
        self._settings = settings
        self._group = group
        self._publisher = publisher
        # A claim that is made again names ourselves, and ending our own transaction would fence us.
        self._known = {claim.predecessor for claim in claims.values()} - {"", publisher.transactional_id}
        self._ended: set[str] = set()

    async def end_known(self) -> None:
        """End what those whom Redis remembers have open, before anything else waits for it.

        It holds back the readers of the output topics, also where it does not hold the group's offsets yet.
        """
        await self._end(self._known)

    async def end(self, tps: Collection[TopicPartition]) -> None:
        """End what may hold the offsets of `tps`: those whom Redis remembers, then whom the brokers know."""
        ids = self._known - self._ended
        if not ids:
            ids = {one for one in await self._group.open_transactions() if self._is_earlier(one, tps)}
        await self._end(ids)

    async def _end(self, ids: Collection[str]) -> None:
        due = sorted(set(ids) - self._ended)
        for transactional_id in due:
            logger.info("ending the transaction of %s", transactional_id, extra={"action": "end_predecessor"})
        await asyncio.gather(*(self._group.end_transaction(transactional_id) for transactional_id in due))
        self._ended.update(due)

    def _is_earlier(self, transactional_id: str, tps: Collection[TopicPartition]) -> bool:
        """Whether an id is of an earlier assignment of this group, or of version 0.1 for one of `tps`."""
        group = self._settings.group
        if any(transactional_id == f"{group}-{topic}-{number}" for topic, number in tps):
            return True
        found = re.fullmatch(rf"{re.escape(group)}:(\d+):(.*):\d+", transactional_id)
        if found is None:
            return False
        generation, member_id = found.groups()
        ours = self._publisher.membership
        if int(generation) != ours.generation:
            return int(generation) < ours.generation
        # A static member that restarts keeps its generation, and gets another member id.
        instance_id = ours.instance_id
        return instance_id is not None and member_id.startswith(f"{instance_id}-") and member_id != ours.member_id
