"""Ends the transactions that earlier owners of partitions left open: step 7c of a take-over."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Collection, Mapping

from worker.errors import DependencyError
from worker.kafka.group import COMMITTED, OPEN, OVER, Group
from worker.kafka.group_offsets import ExpelledError
from worker.ownership.publisher import Publisher
from worker.records.types import TopicPartition
from worker.settings import Settings
from worker.state.claims import Claim

logger = logging.getLogger(__name__)

# Offsets that nobody's open transaction holds are given this long: markers are on their way for milliseconds.
_MARKERS_S = 0.3
_UNSTABLE_RETRY_S = 0.02
# A broker looks for transactions that took too long this often by default.
_BROKER_CHECK_S = 10.0


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
        # A worker has nothing to end of the shadow whose states it takes, nor a shadow of the workers that it follows.
        known = {one for claim in claims.values() for one in (claim.predecessor, claim.last_worker)}
        # A claim that is made again names ourselves, and ending our own transaction would fence us.
        # Who can write to Redis must not have a worker fence the producers of other programs.
        self._known = {one for one in known - {"", publisher.transactional_id} if self._is_of_group(one, claims)}
        self._ended: set[str] = set()
        self._ended_again: set[str] = set()
        self._held_since: float | None = None
        self._deadline_s: float | None = None

    async def end_known(self) -> None:
        """End what those whom Redis remembers have open, before anything else waits for it.

        It holds back the readers of the output topics, also where it does not hold the group's offsets yet. What is
        over stays as it is: starting a producer under its id would forget how it ended.
        """
        known = sorted(self._known)
        states = await asyncio.gather(*(self._group.transaction_state(one) for one in known))
        self._known -= {one for one, state in zip(known, states, strict=True) if state in OVER}
        await self._end(self._known)

    async def end(self, tps: Collection[TopicPartition]) -> None:
        """End what may hold the offsets of `tps`: those whom Redis remembers, then whom the brokers know.

        Where no transaction of theirs is open and the offsets are held all the same, the brokers have lost the markers
        of one: those of the earlier owners are written again, of the latest first.
        """
        ids = self._known - self._ended
        if not ids:
            ids = set(await self._earlier(OPEN, tps)) - self._ended
        if ids:
            await self._end(ids)
        elif self._is_held_for_long() and await self._is_ours_to_mend(tps):
            await self._end_one_again(tps)

    async def wait_for(self, tps: Collection[TopicPartition]) -> None:
        """Wait a moment for the transactions that hold the offsets of `tps`.

        Raises DependencyError once even their time-out should have ended them.
        """
        now_s = asyncio.get_running_loop().time()
        if self._deadline_s is None:
            self._deadline_s = now_s + self._settings.transaction_timeout_s + 2 * _BROKER_CHECK_S
        if now_s > self._deadline_s:
            names = ", ".join(f"{topic}-{number}" for topic, number in sorted(tps))
            raise DependencyError(
                "Kafka",
                self._settings.kafka,
                f"a transaction that holds the group's offsets of {names} does not end",
                "kafka-transactions.sh list and describe show it, and abort ends it",
            )
        await asyncio.sleep(_UNSTABLE_RETRY_S)

    def _is_held_for_long(self) -> bool:
        now = asyncio.get_running_loop().time()
        if self._held_since is None:
            self._held_since = now
        return now - self._held_since > _MARKERS_S

    async def _is_ours_to_mend(self, tps: Collection[TopicPartition]) -> bool:
        """One owner mends for all, that of the first partition: two at once would abort each other's markers."""
        held = await self._group.unstable(self._settings.topics)
        return bool(held) and min(held) in tps

    async def _end_one_again(self, tps: Collection[TopicPartition]) -> None:
        states = await self._earlier(OVER, tps)
        left = [one for one in states if one not in self._ended_again]
        if not left:
            return
        latest = max(left, key=_generation)
        logger.warning(
            "writing the markers of the transaction of %s again: it is over (%s), and the group's offsets are held",
            latest,
            states[latest],
            extra={"action": "end_again"},
        )
        self._ended_again.add(latest)
        await self._group.end_again(latest, commit=states[latest] == COMMITTED)

    async def _end(self, ids: Collection[str]) -> None:
        due = sorted(set(ids) - self._ended)
        for transactional_id in due:
            logger.info("ending the transaction of %s", transactional_id, extra={"action": "end_predecessor"})
        await asyncio.gather(*(self._group.end_transaction(transactional_id) for transactional_id in due))
        self._ended.update(due)

    def _is_of_group(self, transactional_id: str, tps: Collection[TopicPartition]) -> bool:
        return self._is_of_version_0_1(transactional_id, tps) or self._match(transactional_id) is not None

    def _is_of_version_0_1(self, transactional_id: str, tps: Collection[TopicPartition]) -> bool:
        return any(transactional_id == f"{self._settings.group}-{topic}-{number}" for topic, number in tps)

    def _match(self, transactional_id: str) -> re.Match[str] | None:
        """Generation and member id of an id of this group."""
        return re.fullmatch(rf"{re.escape(self._settings.group)}:(\d+):(.*):\d+", transactional_id)

    async def _earlier(self, states: Collection[str], tps: Collection[TopicPartition]) -> dict[str, str]:
        """The transactions of earlier assignments of this group, or of version 0.1 for one of `tps`, with their states.

        The number of a generation does not tell: a coordinator that has not loaded all of them counts some again. The
        ids of the members do, while we are one. Raises ExpelledError when the group goes on without us.
        """
        found = await self._group.transactions(states)
        ours = {one: match for one in found if (match := self._match(one)) and one != self._publisher.transactional_id}
        earlier = {one: found[one] for one in found if self._is_of_version_0_1(one, tps)}
        if not ours:
            return earlier
        membership, members = self._publisher.membership, await self._group.members()
        if not await self._group.is_member(membership):
            raise ExpelledError("other members end what the earlier ones left open")
        current = str(membership.generation)
        return earlier | {one: found[one] for one, id_ in ours.items() if id_[1] != current or id_[2] not in members}


def _generation(transactional_id: str) -> tuple[int, str]:
    """What sorts ids by when they were in use; those of version 0.1 come first."""
    found = re.search(r":(\d+):.*:\d+$", transactional_id)
    return (int(found[1]) if found else -1), transactional_id
