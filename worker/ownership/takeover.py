"""Taking partitions over and rebuilding their states: steps 7 and 8 of a micro-batch (worker/processing/pipeline.py).

    7a  start the transactional producer: Kafka fences whoever held the partition and ends what was open
    7b  raise the epoch in Redis: flushes of the old owner are refused; read P, the position of the states there
    7c  read C, the group's offset, once after all producers have started: nobody can move it any more
    8   go on at min(P, C) (`plan_takeover`); what lies between P and C is applied without publishing

Dying anywhere in here leaves an epoch that the next owner raises again, and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from worker.errors import OwnershipError
from worker.kafka.assignment import Assignment, CommitOffset
from worker.kafka.clients import Log, kafka_away
from worker.kafka.producer import AtLeastOnceProducer, ExactlyOnceProducer
from worker.monitoring.metrics import FencedBy, Metrics
from worker.ownership.partition import PARTIAL, Partition
from worker.ownership.plan import LogBounds, Plan, PlanWarning, Rebuild, plan_rebuild, plan_takeover
from worker.process import CrashPoints
from worker.records.types import TopicPartition
from worker.retries import retry
from worker.settings import Settings
from worker.state.store import Claim, Epoch, Fence, StateStore, redis_away

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")
OnDropped = Callable[[Partition, FencedBy], None]

# Shares of the session timeout: a longer take-over would only end in the next rebalance, and one that waits longer
# for Redis would not end in time.
_TAKE_OVER_SHARE, _REDIS_SHARE = 0.8, 0.3
_REDIS_RETRY_S = 0.25


class TakeOver:
    """Makes the calls of steps 7 and 8, and those that follow when Redis loses the states of an owned partition."""

    def __init__(self, settings: Settings, store: StateStore, metrics: Metrics, crash_points: CrashPoints) -> None:
        self._settings = settings
        self._store = store
        self._metrics = metrics
        self._crash_points = crash_points
        self._num_lineages = 0

    async def take_over(self, assignment: Assignment, on_dropped: OnDropped) -> dict[TopicPartition, Partition]:
        """Own the assigned partitions: fence, learn the offsets, decide where each begins.

        `on_dropped` is called when one of them turns out to be another worker's. Raises DependencyError when Kafka or
        Redis do not answer in time, OwnershipError when Redis knows a newer owner.
        """
        tps = assignment.tps
        producers = [self._new_producer(tp, assignment.commit_offset) for tp in tps]
        try:
            async with asyncio.timeout(self._settings.session_timeout_s * _TAKE_OVER_SHARE):
                await asyncio.gather(*(producer.start() for producer in producers))
                self._crash_points.reach("fenced")
                claims = await asyncio.gather(*(self._claim(producer) for producer in producers))
                self._crash_points.reach("claimed")
                read = await self._read_log(tps)
                owned = {
                    producer.tp: await self._own(producer, claim, plan_takeover(claim, *read[producer.tp]), on_dropped)
                    for producer, claim in zip(producers, claims, strict=True)
                }
        except (RedisError, ConnectionError) as error:
            raise redis_away(self._settings, error) from error
        except (KafkaError, TimeoutError) as error:
            raise kafka_away(self._settings, error) from error
        self._crash_points.reach("planned")
        return owned

    async def rebuild(self, partition: Partition) -> bool:
        """Begin the states of an owned partition again, back in the log below C. Answers whether Redis fenced us."""
        _, log = (await self._read_log([partition.tp]))[partition.tp]
        rebuild = plan_rebuild(partition.committed, log)
        async with partition.redis_lock:
            claim = await self._claim_new_lineage(partition.tp, partition.fence.epoch, partial=rebuild.partial)
            partition.reset(claim.lineage, rebuild.start)
        self._warn_of_rebuild(partition.tp, rebuild, partition.committed)
        return claim.fenced

    async def rewrite(self, partition: Partition) -> bool:
        """Make every state in memory dirty again, under a new lineage. Answers whether Redis fenced us."""
        async with partition.redis_lock:
            epoch, partial = partition.fence.epoch, partition.has_unknown_past
            claim = await self._claim_new_lineage(partition.tp, epoch, partial=partial)
            if not claim.fenced:
                partition.rewrite(claim.lineage)
            return claim.fenced

    def _new_producer(
        self, tp: TopicPartition, commit_offset: CommitOffset
    ) -> ExactlyOnceProducer | AtLeastOnceProducer:
        if self._settings.delivery == "exactly_once":
            return ExactlyOnceProducer(self._settings, tp, self._crash_points)
        return AtLeastOnceProducer(self._settings, tp, self._crash_points, commit_offset)

    async def _claim(self, producer: ExactlyOnceProducer | AtLeastOnceProducer) -> Claim:
        tp = producer.tp
        epoch = Epoch(*producer.producer_number) if isinstance(producer, ExactlyOnceProducer) else None
        lineage = self._name_lineage(epoch, partial=False)
        claim = await self._ask_redis(lambda: self._store.claim(tp, epoch, lineage))
        if claim.fenced:
            raise OwnershipError(
                f"{tp.topic}-{tp.partition}: Redis knows the epoch {tuple(claim.epoch)}, newer than {epoch} that Kafka "
                "just gave. Either two Kafka clusters share these keys: give each its own --group or Redis. Or Kafka "
                "was set up anew, or the group ran with delivery at_least_once before, which counts its own epochs: "
                f"delete the keys {{{self._settings.group}:*, and the states are rebuilt from the log"
            )
        return claim

    async def _claim_new_lineage(self, tp: TopicPartition, epoch: Epoch, *, partial: bool) -> Claim:
        """The claim of a new lineage; its name stands in the answer even where Redis fenced us."""
        lineage = self._name_lineage(epoch, partial=partial)
        claim = await self._store.claim(tp, epoch, lineage, new_lineage=True)
        return claim._replace(lineage=lineage)

    def _name_lineage(self, epoch: Epoch | None, *, partial: bool) -> str:
        self._num_lineages += 1
        name = ".".join(map(str, (*(epoch or ("free",)), self._num_lineages)))
        return name + PARTIAL if partial else name

    async def _read_log(self, tps: Collection[TopicPartition]) -> dict[TopicPartition, tuple[int | None, LogBounds]]:
        """For each partition the group's offset, and what the log holds."""
        async with Log(self._settings) as log:
            committed = await log.committed(tps)
            starts = await log.starts(tps)
            lookbacks = await log.since(tps, self._settings.rebuild_lookback_s)
        return {tp: (committed[tp], LogBounds(starts[tp], lookbacks[tp])) for tp in tps}

    async def _own(
        self, producer: ExactlyOnceProducer | AtLeastOnceProducer, claim: Claim, plan: Plan, on_dropped: OnDropped
    ) -> Partition:
        tp, fence = producer.tp, Fence(claim.epoch, claim.lineage, claim.position)
        for warning in plan.warnings:
            self._warn(tp, warning)
            if warning.action == "offset_gone":
                self._metrics.position_kept()
        if plan.rebuild is not None:
            partial = plan.rebuild.partial
            fresh = await self._ask_redis(lambda: self._claim_new_lineage(tp, claim.epoch, partial=partial))
            fence = Fence(claim.epoch, fresh.lineage, None)
            self._warn_of_rebuild(tp, plan.rebuild, plan.committed)
        return Partition(tp, producer, fence, start=plan.start, committed=plan.committed, on_dropped=on_dropped)

    async def _ask_redis(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Redis' answer. Connections to a restarted Redis fail once each, and it may be on its way up."""
        return await retry(
            call,
            is_passing=lambda error: isinstance(error, RedisError | OSError),
            wait_s=_REDIS_RETRY_S,
            timeout_s=self._settings.session_timeout_s * _REDIS_SHARE,
        )

    def _warn_of_rebuild(self, tp: TopicPartition, rebuild: Rebuild, committed: int) -> None:
        if rebuild.start < committed:
            records = f"{rebuild.start} to {committed - 1}"
            self._warn(tp, PlanWarning("rebuild", f"states are rebuilt from the records {records}"))

    def _warn(self, tp: TopicPartition, warning: PlanWarning) -> None:
        extra = {"action": warning.action, "topic": tp.topic, "partition": tp.partition}
        logger.warning("%s-%d: %s", tp.topic, tp.partition, warning.message, extra=extra)
