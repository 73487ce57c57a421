"""Keeps the owned partitions: takes them over, flushes their states, drops, rebuilds and gives them up.

Step 6 of a micro-batch, and the callers of steps 7 and 8 (worker/processing/pipeline.py, worker/ownership/takeover.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar

from faust.types import TP
from redis.exceptions import RedisError

from worker.errors import SentimentError
from worker.monitoring.health import Health
from worker.monitoring.metrics import FencedBy, Metrics
from worker.ownership.partition import Partition
from worker.ownership.takeover import Ownership
from worker.process import CrashPoints, die
from worker.settings import Settings
from worker.state.store import Standing, StateStore

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

_REDIS_RETRY_S = 0.25
# One script writes at most about as many states: Redis serves nobody else meanwhile. With Redis away, consumption
# goes on with the states in memory until so many of a partition have changed, and pauses then.
MAX_DIRTY_STATES = 10_000
# an idle partition asks Redis this often whether its states are still there and still its own
_IDLE_CHECK_S = 5.0


class RedisAwayError(Exception):
    """Redis did not answer while the partitions were being given up: the batch is left to their next owner."""


class Source(Protocol):
    """Where the records come from. `should_stop`: the process is ending."""

    @property
    def should_stop(self) -> bool: ...  # noqa: D102

    async def reseek(self) -> None:
        """Go to the keeper's positions and drop what was fetched before and not taken."""


class Keeper:
    """The owned partitions, and as the consumer's PartitionHandler whoever changes them.

    steps: held through steps 1 to 4 of a micro-batch, and by whatever must not run beside them.
    committing: step 5 of the micro-batch before.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of the worker, each made by the app
        self,
        settings: Settings,
        store: StateStore,
        ownership: Ownership,
        metrics: Metrics,
        health: Health,
        crash_points: CrashPoints,
        source: Source,
    ) -> None:
        self._settings = settings
        self._store = store
        self._ownership = ownership
        self._metrics = metrics
        self._health = health
        self._crash = crash_points.reach
        self._source = source
        self._giving_up = False
        self._checked_at: dict[TP, float] = {}
        self.partitions: dict[TP, Partition] = {}
        self.steps = asyncio.Lock()
        self.committing: asyncio.Task[None] | None = None

    def positions(self) -> Mapping[TP, int]:
        """For every owned partition, the next offset to fetch."""
        return {tp: partition.taken for tp, partition in self.partitions.items()}

    async def settled(self) -> None:
        """Until the commit under way is decided. It ends the process where it cannot be."""
        if self.committing is not None:
            await self.committing
            self.committing = None

    # the group coordinator's calls

    async def on_assigned(self, tps: set[TP]) -> None:
        """Step 7. An error ends the process: the group gives the partitions to somebody who can hold them."""
        try:
            self.partitions = await self._ownership.take_over(tps)
        except Exception as error:
            if self._source.should_stop:
                # the drain is over and has closed the connections: nobody will miss these partitions here
                logger.info("partitions came too late to be taken over: %s", error, extra={"action": "take_over"})
                return
            die(error)
        self._giving_up = False
        self._health.assigned(len(self.partitions))
        self._metrics.owned(len(self.partitions))
        for tp, partition in self.partitions.items():
            extra = {"action": "take_over", "topic": tp.topic, "partition": tp.partition, "offset": partition.taken}
            logger.info("%s-%d: owned from offset %d on", tp.topic, tp.partition, partition.taken, extra=extra)

    async def on_revoked(self) -> None:
        """Finish what is in flight, flush, let go. What does not end in time ends the process instead."""
        self._giving_up = True
        self._health.assigned(None)
        try:
            async with asyncio.timeout(self._settings.revoke_timeout_s):
                async with self.steps:
                    await self.settled()
        except TimeoutError:
            die(
                SentimentError(
                    f"work in flight took longer than revoke_timeout_s ({self._settings.revoke_timeout_s:g})"
                )
            )
        partitions, self.partitions = self.partitions, {}
        self._metrics.owned(0)
        with contextlib.suppress(TimeoutError):
            # what is not flushed in time, the next owner computes again
            async with asyncio.timeout(self._settings.revoke_timeout_s / 2):
                await asyncio.gather(*(self.flush(partition) for partition in partitions.values()))
        await asyncio.gather(*(partition.publisher.stop() for partition in partitions.values()))

    # Redis

    async def ask_redis(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Ask until Redis answers; nothing is consumed meanwhile. Raises RedisAwayError at a revocation."""
        while True:
            try:
                # its answer does not make it well again: one that is full still answers reads
                return await call()
            except (RedisError, OSError) as error:
                self._redis_failed(error)
                self._health.progress()
                if self._giving_up:
                    raise RedisAwayError from error
                await asyncio.sleep(_REDIS_RETRY_S)

    def _redis_failed(self, error: Exception) -> None:
        self._health.redis_answered(well=False)
        logger.warning("Redis does not take part, waiting: %s", error, extra={"action": "redis_away"})

    async def flush_all(self) -> None:
        """Step 6 for every owned partition; called every `flush_interval_s`."""
        await asyncio.gather(*(self.flush(partition) for partition in list(self.partitions.values())))
        if any(partition.lost for partition in self.partitions.values()):
            with contextlib.suppress(RedisAwayError):
                async with self.steps:
                    await self.recover_lost()
        lag = sum(p.committed - (p.position or 0) for p in self.partitions.values())
        self._metrics.flush_lag(lag)
        self._metrics.cached_streams(sum(len(partition.states) for partition in self.partitions.values()))

    async def flush(self, partition: Partition) -> None:
        """Step 6 for one partition; a Redis that does not answer leaves its states to the next flush."""
        now = asyncio.get_running_loop().time()
        idle = not partition.dirty and partition.position == partition.applied
        if (
            not partition.owned
            or partition.lost
            or (idle and now - self._checked_at.get(partition.tp, 0.0) < _IDLE_CHECK_S)
        ):
            return
        try:
            with self._metrics.flushing():
                standing = await self._store.flush(partition)
        except (RedisError, OSError) as error:
            self._redis_failed(error)
            return
        self._health.redis_answered(well=True)
        self._checked_at[partition.tp] = now
        if standing is Standing.OK:
            self._crash("flushed")
        elif standing is Standing.FENCED:
            self.drop(partition, "redis")
        else:
            partition.lost = True

    async def flush_down(self, partition: Partition) -> None:
        """Flush until few states are dirty, waiting for a Redis that is away: consumption pauses meanwhile."""
        while len(partition.dirty) > MAX_DIRTY_STATES and partition.owned and not partition.lost:
            await self.flush(partition)
            if self._giving_up:
                return
            if len(partition.dirty) > MAX_DIRTY_STATES:
                self._health.progress()
                await asyncio.sleep(_REDIS_RETRY_S)

    # what becomes of a partition

    def drop(self, partition: Partition, where: FencedBy) -> None:
        """Another worker owns the partition: nothing of it is published or flushed from here on."""
        if not partition.owned:
            return
        partition.owned = False
        tp = partition.tp
        self._metrics.fenced(where)
        message = f"{tp.topic}-{tp.partition}: fenced in {where}, another worker owns the partition"
        logger.warning(message, extra={"action": "fenced", "topic": tp.topic, "partition": tp.partition})
        if self._settings.instance_id is not None:
            die(SentimentError(f"{message}. Two workers may share instance_id {self._settings.instance_id!r}"))
        # Kafka also fences after a transaction that timed out; then nobody takes the partition from us
        bound_s = self._settings.session_timeout_s + self._settings.rebalance_timeout_s
        asyncio.get_running_loop().call_later(bound_s, self._check_dropped, partition)

    def _check_dropped(self, partition: Partition) -> None:
        if self.partitions.get(partition.tp) is partition:
            name = f"{partition.tp.topic}-{partition.tp.partition}"
            die(SentimentError(f"{name} was fenced, and the group still has it here: starting over"))

    async def recover_lost(self) -> None:
        """Put right what a flush found lost. Call it with `steps` held. Raises RedisAwayError at a revocation."""
        for partition in list(self.partitions.values()):
            if partition.lost:
                await self.recover(partition)

    async def recover(self, partition: Partition) -> None:
        """Redis lost the partition's states: write them all again, or rebuild them (8). Call it with `steps` held."""
        await self.settled()
        if not partition.owned or self.partitions.get(partition.tp) is not partition:
            return
        tp = partition.tp
        self._metrics.flush_lost()
        extra = {"action": "redis_lost", "topic": tp.topic, "partition": tp.partition}
        logger.warning("%s-%d: Redis lost the states", tp.topic, tp.partition, extra=extra)
        if partition.complete:
            fenced = await self.ask_redis(lambda: self._ownership.rewrite(partition))
        else:
            fenced = await self.ask_redis(lambda: self._ownership.rebuild(partition))
            await self._source.reseek()
        if fenced:
            self.drop(partition, "redis")
