"""Taking partitions over and rebuilding their states: steps 7 and 8 of a micro-batch (worker/processing/pipeline.py).

    7a  start the transactional producer: Kafka fences whoever held the partition and ends what was open
    7b  raise the epoch in Redis: flushes of the old owner are refused; read P, the position of the states there
    7c  read C, the group's offset, once after all producers have started: nobody can move it any more
    8   go on at min(P, C); what lies between P and C is applied without publishing

Dying anywhere in here leaves an epoch that the next owner raises again, and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from aiokafka.errors import KafkaError
from faust.types import TP
from redis.exceptions import RedisError

from worker.errors import OwnershipError
from worker.kafka.clients import Log, kafka_away
from worker.kafka.producer import CommitOffset, PlainPublisher, TransactionalPublisher
from worker.monitoring.metrics import Metrics
from worker.ownership.partition import PARTIAL, Epoch, Partition
from worker.process import CrashPoints
from worker.settings import Settings
from worker.state.store import Claim, StateStore, redis_away

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

# of the session timeout: a take-over may last so long, and a Redis that does not answer is asked again for so long
_TAKE_OVER_SHARE, _REDIS_SHARE = 0.8, 0.3
_REDIS_RETRY_S = 0.25


@dataclass(frozen=True, slots=True)
class LogBounds:
    """What the log and the group say of a partition: `committed` is C, `start` the first offset that is left."""

    committed: int | None
    start: int
    lookback: int | None


class Ownership:
    """Takes partitions over, and begins a partition's states anew."""

    def __init__(
        self, settings: Settings, store: StateStore, metrics: Metrics, crash_points: CrashPoints, commit: CommitOffset
    ) -> None:
        self._settings = settings
        self._store = store
        self._metrics = metrics
        self._crash_points = crash_points
        self._crash = crash_points.reach
        self._commit = commit
        self._num_lineages = 0

    async def take_over(self, tps: set[TP]) -> dict[TP, Partition]:
        """Own `tps`: fence, learn the offsets, decide where each begins.

        Raises DependencyError when Kafka or Redis do not answer in time, OwnershipError when another owner is newer.
        """
        # a callback longer than the session would only end in the next rebalance
        bound_s = self._settings.session_timeout_s * _TAKE_OVER_SHARE
        publishers: list[TransactionalPublisher | PlainPublisher] = [self._publisher(tp) for tp in tps]
        try:
            async with asyncio.timeout(bound_s):
                await asyncio.gather(*(publisher.start() for publisher in publishers))
                self._crash("fenced")
                claims = await asyncio.gather(*(self._claim(tp, p) for tp, p in zip(tps, publishers, strict=True)))
                self._crash("claimed")
                bounds = await self._bounds(tps)
                owned = {
                    tp: await self._partition(tp, publisher, claim, bounds[tp])
                    for tp, publisher, claim in zip(tps, publishers, claims, strict=True)
                }
        except (RedisError, ConnectionError) as error:
            raise redis_away(self._settings, error) from error
        except (KafkaError, TimeoutError) as error:
            raise kafka_away(self._settings, error) from error
        self._crash("planned")
        return owned

    def _publisher(self, tp: TP) -> TransactionalPublisher | PlainPublisher:
        if self._settings.delivery == "exactly_once":
            return TransactionalPublisher(self._settings, tp, self._crash_points)
        return PlainPublisher(self._settings, tp, self._crash_points, self._commit)

    async def _claim(self, tp: TP, publisher: TransactionalPublisher | PlainPublisher) -> Claim:
        epoch = Epoch(*publisher.producer_number) if isinstance(publisher, TransactionalPublisher) else None
        lineage = self._new_lineage(epoch, partial=False)
        claim = await self._ask_redis(lambda: self._store.claim(tp, epoch, lineage))
        if claim.fenced:
            raise OwnershipError(
                f"{tp.topic}-{tp.partition}: Redis knows the epoch {tuple(claim.epoch)}, newer than {epoch} that Kafka "
                "just gave. Either two Kafka clusters share these keys: give each its own --group or Redis. Or Kafka "
                "was set up anew, or the group ran with delivery at_least_once before, which counts its own epochs: "
                f"delete the keys {{{self._settings.group}:*, and the states are rebuilt from the log"
            )
        return claim

    def _new_lineage(self, epoch: Epoch | None, *, partial: bool) -> str:
        self._num_lineages += 1
        name = ".".join(map(str, (*(epoch or ("free",)), self._num_lineages)))
        return name + PARTIAL if partial else name

    async def _bounds(self, tps: set[TP]) -> dict[TP, LogBounds]:
        async with Log(self._settings) as log:
            committed = await log.committed(tps)
            starts = await log.starts(tps)
            lookbacks = await log.since(tps, self._settings.rebuild_lookback_s)
        return {tp: LogBounds(committed[tp], starts[tp], lookbacks[tp]) for tp in tps}

    async def _partition(
        self, tp: TP, publisher: TransactionalPublisher | PlainPublisher, claim: Claim, bounds: LogBounds
    ) -> Partition:
        position, start = claim.position, bounds.start
        committed = bounds.committed
        if committed is None:
            committed = start if position is None else max(position, start)
            if position is not None:
                self._warn(tp, "offset_gone", f"the group has no offset; going on at {committed}, where the states are")
                self._metrics.position_kept()
        if committed < start:
            self._warn(tp, "records_gone", f"records {committed} to {start - 1} left the log before they were read")
            committed = start
        partition = Partition(
            tp=tp,
            publisher=publisher,
            epoch=claim.epoch,
            lineage=claim.lineage,
            taken=position or 0,
            applied=position or 0,
            committed=committed,
            position=position,
            complete=position is None,
        )
        if position is None or position > committed or position < start:
            # no states, or states of records that the group wants again, or a gap that the log cannot fill
            await self._ask_redis(lambda: self._begin_anew(partition, bounds))
        return partition

    async def _ask_redis(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Redis' answer. Connections to one that was restarted fail once each, and it may be on its way up."""
        give_up_at = asyncio.get_running_loop().time() + self._settings.session_timeout_s * _REDIS_SHARE
        while True:
            try:
                return await call()
            except (RedisError, OSError):
                if asyncio.get_running_loop().time() > give_up_at:
                    raise
                await asyncio.sleep(_REDIS_RETRY_S)

    async def rebuild(self, partition: Partition) -> bool:
        """Begin the states of an owned partition anew, back in the log below C. Answers whether Redis fenced us."""
        bounds = (await self._bounds({partition.tp}))[partition.tp]
        return await self._begin_anew(partition, bounds)

    async def rewrite(self, partition: Partition) -> bool:
        """Make every state in memory dirty again, under a new lineage. Answers whether Redis fenced us."""
        async with partition.redis_lock:
            lineage = self._new_lineage(partition.epoch, partial=partition.unknown_past)
            claim = await self._store.claim(partition.tp, partition.epoch, lineage, anew=True)
            if not claim.fenced:
                partition.lineage, partition.position, partition.lost = lineage, None, False
                partition.dirty.update(partition.states)
            return claim.fenced

    async def _begin_anew(self, partition: Partition, bounds: LogBounds) -> bool:
        # no record within the lookback: nothing to rebuild from
        lookback = partition.committed if bounds.lookback is None else bounds.lookback
        start = min(max(bounds.start, lookback), partition.committed)
        async with partition.redis_lock:
            lineage = self._new_lineage(partition.epoch, partial=start > 0)
            claim = await self._store.claim(partition.tp, partition.epoch, lineage, anew=True)
            partition.restart(lineage, start)
        if start < partition.committed:
            records = f"{start} to {partition.committed - 1}"
            self._warn(partition.tp, "rebuild", f"states are rebuilt from the records {records}")
        return claim.fenced

    def _warn(self, tp: TP, action: str, message: str) -> None:
        extra = {"action": action, "topic": tp.topic, "partition": tp.partition}
        logger.warning("%s-%d: %s", tp.topic, tp.partition, message, extra=extra)
