"""Taking partitions over and rebuilding their states: steps 7 and 8 of a micro-batch (worker/processing/pipeline.py).

    7a  start the transactional producer of this assignment
    7b  claim the partitions in Redis: reads and flushes of an earlier owner are refused; read P, and who that was
    7c  end what a dead or paused predecessor left open, by its id: left alone, it holds back readers and C until its
        transaction's time-out; read what is published, then C, the group's offset, once no open transaction can move it
        and the coordinator has loaded it
    7d  read the log's start and end, and which topic it is of
    7e  go on as `plan_takeover` says; what lies between P and C is applied without publishing (8)

Dying anywhere in here leaves a claim that the next owner replaces, and nothing else. All of this runs beside the
group's heartbeats, and ends with the assignment.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Set
from functools import partial
from typing import NamedTuple, TypeVar

from worker.kafka.brokers import Brokers
from worker.kafka.group import Group
from worker.kafka.group_offsets import ExpelledError, GroupOffset
from worker.kafka.log import Log, LogBounds
from worker.monitoring.observers import Observers
from worker.ownership.lineage import lineage_name, lineage_reset
from worker.ownership.partition import Partition
from worker.ownership.plan import Plan, Rebuild, announce, is_stale, offset_of_shadow, plan_takeover, refuse_lost_log
from worker.ownership.predecessors import Predecessors
from worker.ownership.published import Proven, ProvenOffsets, Published
from worker.ownership.publisher import Publisher
from worker.records.types import TopicPartition
from worker.retries import retry
from worker.settings import Settings
from worker.state.causes import redis_away
from worker.state.claims import Claim, Claimant, Fence, TopicInfo, Verdict
from worker.state.clients import REDIS_ERRORS
from worker.state.store import StateStore

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

_REDIS_RETRY_S = 0.25


class _Found(NamedTuple):
    """What there is to plan from. num_partitions_before: of the topic, when its first states began."""

    claim: Claim
    committed: Proven
    log: LogBounds
    topic: TopicInfo
    num_partitions_before: int


class TakeOver:
    """Makes the calls of steps 7 and 8, and those that follow when Redis no longer holds what was last written."""

    def __init__(
        self,
        settings: Settings,
        brokers: Brokers,
        store: StateStore,
        observers: Observers,
        new_token: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._settings = settings
        self._brokers = brokers
        self._group = Group(settings, brokers, settings.group)
        self._log = Log(settings, brokers)
        self._published = Published(settings, brokers)
        self._store = store
        self._metrics = observers.metrics
        self._crash = observers.crash_points.reach
        self._new_token = new_token
        self._refused: Set[TopicPartition] = frozenset()

    async def take_over(
        self, tps: Collection[TopicPartition], publisher: Publisher
    ) -> AsyncIterator[dict[TopicPartition, Partition]]:
        """Own partitions, and yield them as they become ready; those of topics that do not exist are left out.

        So are those that a worker of the same model has taken from a shadow.

        Raises DependencyError when a server does not answer, ExpelledError when the group goes on without us,
        OwnershipError when `on_lost_log` says to stop.
        """
        topics = await self._topics(tps)
        claims = await self._ask_redis(lambda: self._store.claim(self._claimant(publisher), topics))
        self._note_refused(topics.keys() - claims.keys())
        before = await self._ask_redis(lambda: self._store.first_partition_counts({tp.topic for tp in topics}))
        self._crash("claimed")
        predecessors = Predecessors(self._settings, self._group, publisher, claims)
        await predecessors.end_known()
        waiting: Set[TopicPartition] = set(claims)
        ids = {tp.topic: topics[tp].topic_id for tp in waiting}
        published = await self._published.progress(ids, waiting)
        proven = ProvenOffsets(self._settings, self._group, self._log, self._metrics, published, ids)
        while waiting:
            offsets, unstable = await proven.read(waiting)
            bounds = await self._log.bounds(offsets)
            owned = {}
            for tp, log in bounds.items():
                topic, claim = TopicInfo(log.topic_id, topics[tp].num_partitions), claims[tp]
                first = min(claim.topic.num_partitions, before.get(tp.topic, topic.num_partitions))
                found = _Found(claim, offsets[tp], log, topic, first)
                partition = await self._ask_redis(partial(self._own, tp, publisher, found))
                if partition is not None:
                    owned[tp] = partition
            if owned:
                self._crash("planned")
                yield owned
            waiting = unstable
            if waiting:
                await predecessors.wait_for(waiting)
                await predecessors.end(waiting)

    def _note_refused(self, tps: Set[TopicPartition]) -> None:
        """A shadow asks for these again and again: say it once."""
        for tp in sorted(tps - self._refused):
            extra = {"action": "served", "topic": tp.topic, "partition": tp.partition}
            logger.info("%s-%d: workers of this shadow's own model serve it", *tp, extra=extra)
        self._refused = tps

    async def _topics(self, tps: Collection[TopicPartition]) -> dict[TopicPartition, TopicInfo]:
        names = {tp.topic for tp in tps}
        ids, counts = await self._log.topic_ids(names), await self._log.partition_counts(names)
        return {tp: TopicInfo(ids[tp.topic], counts[tp.topic]) for tp in tps if tp.topic in ids and tp.topic in counts}

    def _claimant(self, publisher: Publisher) -> Claimant:
        return Claimant(self._new_token(), publisher.transactional_id, self._settings.shadow)

    async def _own(self, tp: TopicPartition, publisher: Publisher, found: _Found) -> Partition | None:
        """7e. A claim that is not ours any more is made again, while the group counts on us. None: it may not be."""
        claim, log, topic, (known, told, published) = found.claim, found.log, found.topic, found.committed
        while True:
            offset = offset_of_shadow(claim, known) if self._settings.shadow else known
            num_resets = published.num_resets if published is not None and not self._settings.shadow else None
            plan = plan_takeover(claim, offset, log, num_resets)
            if self._settings.on_lost_log == "stop":
                refuse_lost_log(tp, plan)
            fence = await self._fence(tp, claim, plan, topic)
            if fence is not None:
                break
            again = await self._claim_again(tp, publisher, topic)
            if again is None:
                return None
            claim = again
        announce(tp, plan, self._metrics)
        return Partition(
            tp,
            publisher,
            fence,
            start=plan.start,
            committed=plan.committed,
            topic=topic,
            num_partitions_before=found.num_partitions_before,
            group_offset=told.offset if told is not None else None,
            published=published,
            is_shadow=self._settings.shadow,
            is_cut=told is not None and plan.committed < told.offset and not is_stale(told.metadata, log.topic_id),
        )

    async def _fence(self, tp: TopicPartition, claim: Claim, plan: Plan, topic: TopicInfo) -> Fence | None:
        """What stands in Redis once `plan` is begun; None where the claim does not stand any more."""
        if plan.rebuild is None:
            assert claim.lineage is not None, f"{tp} has a position and no lineage"
            return Fence(claim.token, claim.lineage, claim.position)
        token = self._new_token()
        fence = Fence(token, lineage_name(token, plan.rebuild.reset), None)
        verdict = await self._store.begin(tp, claim.token, fence, topic)
        return fence if verdict is Verdict.OK else None

    async def _claim_again(self, tp: TopicPartition, publisher: Publisher, topic: TopicInfo) -> Claim | None:
        """None where a worker of the same model has taken the partition from this shadow."""
        if not await self._group.is_member(publisher.membership):
            raise ExpelledError(f"another worker has claimed {tp.topic}-{tp.partition}")
        return (await self._store.claim(self._claimant(publisher), {tp: topic})).get(tp)

    async def recover(self, partition: Partition, *, unreadable: bool = False) -> bool:
        """Mend what Redis lost or another worker wrote; answers whether the partition went back in its log.

        unreadable: an entry cannot be decoded, so that states are rebuilt although the claim stands.

        What is in memory is kept where it is whole, to be written under a new lineage. Raises REDIS_ERRORS,
        and what take_over raises.
        """
        async with partition.redis_lock:
            while True:
                claim = await self._claim_again(partition.tp, partition.publisher, partition.topic)
                if claim is None:
                    self._let_go(partition)
                    return False
                if unreadable:
                    claim = claim._replace(lineage=None, position=None)
                elif (claim.lineage, claim.position) == (partition.fence.lineage, partition.fence.position):
                    partition.renew(claim.token)
                    return False
                plan = await self._plan_again(partition, claim)
                if plan is None:
                    partition.drop()
                    return False
                fence = await self._fence(partition.tp, claim, plan, partition.topic)
                if fence is None:
                    continue
                if partition.complete:
                    partition.rewrite(fence)
                    return False
                partition.reset(fence, plan.start, plan.committed)
                announce(partition.tp, plan, self._metrics)
                return True

    def _let_go(self, partition: Partition) -> None:
        """Leave the states to the worker of the same model that goes on with them."""
        partition.drop()
        extra = {"action": "cut_over", "topic": partition.tp.topic, "partition": partition.tp.partition}
        logger.info("%s: a worker of this model has taken it over, with its states", partition, extra=extra)

    async def _plan_again(self, partition: Partition, claim: Claim) -> Plan | None:
        """How an owned partition goes on; None where its topic does not exist any more."""
        if partition.complete:
            rebuild = Rebuild(partition.applied, lineage_reset(partition.fence.lineage))
            return Plan(partition.applied, partition.committed, rebuild, ())
        log = (await self._log.bounds([partition.tp])).get(partition.tp)
        if log is None:
            return None
        offset = GroupOffset(partition.committed, partition.topic.topic_id)
        return plan_takeover(claim, offset, log, partition.num_resets)

    async def _ask_redis(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Redis' answer. Connections to a restarted Redis fail once each, and it may be on its way up."""
        try:
            return await retry(
                call,
                is_passing=lambda error: isinstance(error, REDIS_ERRORS),
                wait_s=_REDIS_RETRY_S,
                timeout_s=self._settings.session_timeout_s,
            )
        except REDIS_ERRORS as error:
            raise redis_away(self._settings, error) from error
