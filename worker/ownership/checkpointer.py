"""Keeps the states of owned partitions in Redis: step 6 of a micro-batch, and what to do when Redis lost them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import TypeVar

from worker.monitoring.observers import Observers
from worker.ownership.partition import Partition
from worker.ownership.processing_lock import ProcessingLock
from worker.ownership.takeover import TakeOver
from worker.records.types import TopicPartition
from worker.retries import retry
from worker.settings import Settings
from worker.state.claims import Verdict
from worker.state.clients import REDIS_ERRORS
from worker.state.entry import StreamEntry
from worker.state.store import StateStore

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

_REDIS_RETRY_S = 0.25
# One script writes at most about as many states: Redis serves nobody else meanwhile. With Redis away, consumption
# goes on with the states in memory until so many of a partition have changed, and pauses then.
MAX_DIRTY_STATES = 10_000
# An idle partition asks Redis this often whether its states are still there and still its own.
_IDLE_CHECK_S = 5.0


class RedisAwayError(Exception):
    """Redis did not answer while the partitions were being revoked: the batch is left to their next owner."""


class Checkpointer:
    """Reads, flushes and recovers the states of partitions that this worker owns."""

    def __init__(
        self,
        settings: Settings,
        store: StateStore,
        takeover: TakeOver,
        lock: ProcessingLock,
        observers: Observers,
    ) -> None:
        self._settings = settings
        self._store = store
        self._takeover = takeover
        self._lock = lock
        self._metrics, self._health, self._crash_points, self._tracing = observers
        self._checked_at: dict[TopicPartition, float] = {}

    async def read(self, partition: Partition, streams: Sequence[str]) -> tuple[Verdict, list[StreamEntry | None]]:
        """Step 3: the entries of `streams`, in order, if the partition is still ours and Redis still has its states.

        Waits for a Redis that is away. Raises RedisAwayError at a revocation.
        """

        async def read() -> tuple[Verdict, list[StreamEntry | None]]:
            async with partition.redis_lock:
                return await self._store.read(partition.tp, partition.fence, streams)

        return await self._ask_redis(read)

    async def flush_all(self, partitions: Collection[Partition]) -> None:
        """Step 6 for every owned partition; called every `flush_interval_s`."""
        await asyncio.gather(*(self.flush(partition) for partition in partitions))
        self._metrics.flush_lag(sum(partition.committed - (partition.position or 0) for partition in partitions))
        self._metrics.cached_streams(sum(partition.num_cached for partition in partitions))

    async def flush(self, partition: Partition) -> None:
        """Step 6 for one partition; a Redis that does not answer leaves its states to the next flush."""
        now = asyncio.get_running_loop().time()
        was_checked = now - self._checked_at.get(partition.tp, 0.0) < _IDLE_CHECK_S
        if not partition.owned or partition.lost or (partition.is_flushed and was_checked):
            return
        try:
            with self._metrics.flushing(), self._tracing.flushing(partition.tp):
                verdict = await self._flush(partition)
        except REDIS_ERRORS as error:
            self._redis_failed(error)
            return
        self._health.redis_answered(well=True)
        self._checked_at[partition.tp] = now
        if verdict is Verdict.OK:
            self._crash_points.reach("flushed")
        else:
            partition.mark_lost()

    async def _flush(self, partition: Partition) -> Verdict:
        async with partition.redis_lock:
            snapshot = partition.snapshot()
            verdict = await self._store.flush(partition.tp, *snapshot)
            if verdict is Verdict.OK:
                partition.flushed(snapshot)
            return verdict

    async def flush_down(self, partition: Partition) -> None:
        """Flush until few states are dirty, waiting for a Redis that is away: consumption pauses meanwhile."""
        while partition.num_dirty > MAX_DIRTY_STATES and partition.owned and not partition.lost:
            await self.flush(partition)
            if self._lock.revoking:
                return
            if partition.num_dirty > MAX_DIRTY_STATES:
                self._health.progress()
                await asyncio.sleep(_REDIS_RETRY_S)

    async def recover_lost(self, partitions: Iterable[Partition]) -> bool:
        """Recover what flushes found lost; see `recover`."""
        recovered = [await self.recover(partition) for partition in partitions if partition.lost]
        return any(recovered)

    async def recover(self, partition: Partition, verdict: Verdict = Verdict.CHANGED) -> bool:
        """Redis does not hold what was last written, as `verdict` says: mend that, or rebuild the states (8).

        Call it with the processing lock held. Answers whether the partition went back in its log, so that the consumer
        must seek before the lock is released. Raises RedisAwayError at a revocation, ExpelledError when the group goes
        on without us.
        """
        await self._lock.settled()
        if not partition.owned:
            return False
        self._metrics.flush_lost()
        extra = {"action": "redis_lost", "topic": partition.tp.topic, "partition": partition.tp.partition}
        logger.warning("%s: Redis does not hold what was last written there", partition, extra=extra)
        unreadable = verdict is Verdict.UNREADABLE
        return await self._ask_redis(lambda: self._takeover.recover(partition, unreadable=unreadable))

    async def _ask_redis(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Ask until Redis answers; nothing is consumed meanwhile. Raises RedisAwayError at a revocation."""

        def is_passing(error: Exception) -> bool:
            if not isinstance(error, REDIS_ERRORS):
                return False
            self._redis_failed(error)
            self._health.progress()
            return not self._lock.revoking

        try:
            # A successful read does not prove that Redis is healthy: a full one still answers reads.
            return await retry(call, is_passing=is_passing, wait_s=_REDIS_RETRY_S, timeout_s=None)
        except REDIS_ERRORS as error:
            raise RedisAwayError from error

    def _redis_failed(self, error: Exception) -> None:
        self._health.redis_answered(well=False)
        logger.warning("Redis does not take part, waiting: %s", error, extra={"action": "redis_away"})
