"""Looks at the worker once a second: are the servers there, how far behind is it, has it reached the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from worker.kafka.clients import Log
from worker.kafka.consumer import BatchApp
from worker.monitoring.health import Health
from worker.monitoring.metrics import Metrics
from worker.ownership.manager import PartitionManager
from worker.processing.pipeline import Pipeline
from worker.records.types import TopicPartition
from worker.settings import Settings
from worker.state.store import StateStore

# The servers are asked this often; in between, the pipeline reports how its own requests went.
_ASK_SERVERS_S = 5.0


class Monitor:
    """Feeds /ready and the gauges, and knows when the end is reached."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of the worker, each made by the app
        self,
        settings: Settings,
        app: BatchApp,
        manager: PartitionManager,
        pipeline: Pipeline,
        store: StateStore,
        metrics: Metrics,
        health: Health,
    ) -> None:
        self._settings = settings
        self._app = app
        self._manager = manager
        self._pipeline = pipeline
        self._store = store
        self._metrics = metrics
        self._health = health
        self._asked_at = 0.0
        self._reported: set[TopicPartition] = set()
        self._seen: dict[TopicPartition, int] = {}  # the consumer's positions at the last look for the end

    async def look(self) -> None:
        """One look. Raises nothing for a server that is away: that is what it reports."""
        consumer = self._app.consumer
        if time.monotonic() - self._asked_at >= _ASK_SERVERS_S:
            await self._ask_servers()
            self._asked_at = time.monotonic()
        num_records, num_bytes = consumer.in_flight
        self._metrics.inflight(num_records, num_bytes)
        self._health.flowing(bool(consumer.flow_active))
        if num_records == 0 and consumer.flow_active:
            # Having nothing to do is progress; records in flight are none until they are committed.
            self._health.progress()
        self._report_lag(await self._read_positions())

    async def _ask_servers(self) -> None:
        bound_s = self._settings.request_timeout_s
        try:
            await asyncio.wait_for(self._store.probe(), bound_s)
        except (RedisError, OSError):
            self._health.redis_answered(well=False)
        else:
            self._health.redis_answered(well=True)
        try:
            await asyncio.wait_for(self._app.consumer.ask_brokers(), bound_s)
        except (KafkaError, OSError):
            self._health.kafka_answered(well=False)
        else:
            self._health.kafka_answered(well=True)

    def _report_lag(self, positions: Mapping[TopicPartition, tuple[int, int]]) -> None:
        partitions = self._manager.partitions
        for tp in self._reported - set(partitions):
            self._metrics.drop_lag(tp.topic, tp.partition)
        self._reported = set(partitions) & set(positions)
        lags: dict[TopicPartition, int] = {}
        for tp in self._reported:
            position, end = positions[tp]
            partition = partitions[tp]
            # With nothing in flight, only transaction markers are left up to the consumer's position.
            reached = position if partition.is_idle else partition.committed
            lags[tp] = max(0, end - reached)
            self._metrics.lag(tp.topic, tp.partition, lags[tp])
        oldest_ms = self._pipeline.last_timestamp_ms if any(lags.values()) else None
        self._metrics.lag_seconds(0.0 if oldest_ms is None else max(0.0, time.time() - oldest_ms / 1000))

    async def _read_positions(self) -> dict[TopicPartition, tuple[int, int]]:
        """The consumer's positions; nothing where a rebalance has just taken its partitions away."""
        try:
            return await asyncio.wait_for(self._app.consumer.read_positions(), self._settings.request_timeout_s)
        except (KafkaError, TimeoutError):
            return {}

    async def read_ends(self) -> dict[TopicPartition, int]:
        """The ends of the input topics as they are now."""
        async with Log(self._settings) as log:
            counts = await log.partition_counts()
            tps = [TopicPartition(topic, number) for topic in self._settings.topics for number in range(counts[topic])]
            return await log.ends(tps)

    async def has_reached(self, ends: Mapping[TopicPartition, int]) -> bool:
        """Whether every partition is done up to its end in `ends`, here or by the group's other members.

        Ask about once a second: what was fetched before one look is in flight, or done, at the next.
        """
        before, self._seen = self._seen, await self._positions()
        seen = {tp: min(position, before.get(tp, 0)) for tp, position in self._seen.items()}
        elsewhere = [tp for tp, end in ends.items() if end > 0 and tp not in self._manager.partitions]
        if not all(self._is_done(tp, ends[tp], seen.get(tp, 0)) for tp in self._manager.partitions if tp in ends):
            return False
        if not elsewhere:
            return True
        async with Log(self._settings) as log:
            committed = await log.committed(elsewhere)
        return all((committed[tp] or 0) >= ends[tp] for tp in elsewhere)

    async def _positions(self) -> dict[TopicPartition, int]:
        return {tp: position for tp, (position, _) in (await self._read_positions()).items()}

    def _is_done(self, tp: TopicPartition, end: int, position: int) -> bool:
        """A log may end in transaction markers, which the consumer passes and no record ever reaches."""
        partition = self._manager.partitions[tp]
        num_in_flight, _ = self._app.consumer.in_flight
        nothing_left = num_in_flight == 0 and partition.is_idle
        return partition.committed >= end or (nothing_left and position >= end)
