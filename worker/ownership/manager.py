"""Which partitions this worker owns: taken at an assignment, dropped when fenced, all given up at a revocation."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping

from worker.errors import SentimentError
from worker.kafka.assignment import Assignment
from worker.monitoring.health import Health
from worker.monitoring.metrics import FencedBy, Metrics
from worker.ownership.checkpointer import Checkpointer
from worker.ownership.partition import Partition
from worker.ownership.processing_lock import ProcessingLock
from worker.ownership.takeover import TakeOver
from worker.process import die
from worker.records.types import TopicPartition
from worker.settings import Settings

logger = logging.getLogger(__name__)


class PartitionManager:
    """The owned partitions; the consumer's PartitionHandler."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of the worker, each made by the app
        self,
        settings: Settings,
        takeover: TakeOver,
        checkpointer: Checkpointer,
        lock: ProcessingLock,
        metrics: Metrics,
        health: Health,
    ) -> None:
        self._settings = settings
        self._takeover = takeover
        self._checkpointer = checkpointer
        self._lock = lock
        self._metrics = metrics
        self._health = health
        self._partitions: dict[TopicPartition, Partition] = {}

    @property
    def partitions(self) -> Mapping[TopicPartition, Partition]:
        """What the group has assigned here, dropped partitions included."""
        return self._partitions

    def positions(self) -> Mapping[TopicPartition, int]:
        """See PartitionHandler."""
        return {tp: partition.taken for tp, partition in self._partitions.items()}

    async def on_assigned(self, assignment: Assignment) -> None:
        """Step 7; see PartitionHandler. Raises what TakeOver.take_over raises."""
        self._partitions = await self._takeover.take_over(assignment, self._on_dropped)
        self._lock.assign()
        self._health.assigned(len(self._partitions))
        self._metrics.owned(len(self._partitions))
        for tp, partition in self._partitions.items():
            extra = {"action": "take_over", "topic": tp.topic, "partition": tp.partition, "offset": partition.taken}
            logger.info("%s: owned from offset %d on", partition, partition.taken, extra=extra)

    async def on_revoked(self) -> None:
        """Finish what is in flight, flush, let go. Work that does not end in time ends the process instead."""
        self._lock.revoke()
        self._health.assigned(None)
        bound_s = self._settings.revoke_timeout_s
        try:
            async with asyncio.timeout(bound_s), self._lock:
                await self._lock.settled()
        except TimeoutError:
            die(SentimentError(f"work in flight took longer than revoke_timeout_s ({bound_s:g})"))
        partitions, self._partitions = self._partitions, {}
        self._metrics.owned(0)
        with contextlib.suppress(TimeoutError):
            # The next owner computes again what is not flushed in time.
            async with asyncio.timeout(bound_s / 2):
                await asyncio.gather(*(self._checkpointer.flush(partition) for partition in partitions.values()))
        await asyncio.gather(*(partition.producer.stop() for partition in partitions.values()))

    def _on_dropped(self, partition: Partition, fenced_by: FencedBy) -> None:
        tp = partition.tp
        self._metrics.fenced(fenced_by)
        message = f"{partition}: fenced in {fenced_by}, another worker owns the partition"
        logger.warning(message, extra={"action": "fenced", "topic": tp.topic, "partition": tp.partition})
        if self._settings.instance_id is not None:
            die(SentimentError(f"{message}. Two workers may share instance_id {self._settings.instance_id!r}"))
        # Kafka also fences after a transaction that timed out; then nobody takes the partition from us.
        bound_s = self._settings.session_timeout_s + self._settings.rebalance_timeout_s
        asyncio.get_running_loop().call_later(bound_s, self._check_dropped, partition)

    def _check_dropped(self, partition: Partition) -> None:
        if self._partitions.get(partition.tp) is partition:
            die(SentimentError(f"{partition} was fenced, and the group still has it here: starting over"))
