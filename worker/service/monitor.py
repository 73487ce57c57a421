"""Looks at the worker once a second: are the servers there, how far behind is it, has it reached the end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping

from aiokafka.errors import KafkaError

from worker.errors import DependencyError
from worker.kafka.brokers import Brokers
from worker.kafka.group import Group
from worker.kafka.log import Log
from worker.kafka.transport.app import BatchApp
from worker.monitoring.observers import Observers
from worker.ownership.leader import Leader
from worker.ownership.manager import PartitionManager
from worker.ownership.partition import Partition
from worker.processing.pipeline import Pipeline
from worker.records.types import TopicPartition
from worker.settings import Settings
from worker.state.clients import REDIS_ERRORS
from worker.state.store import StateStore

# The servers are asked this often; in between, the pipeline reports how its own requests went.
_ASK_SERVERS_S = 5.0


class Monitor:
    """Feeds /ready and the gauges, and knows when the end is reached."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of the worker, each made by the app
        self,
        settings: Settings,
        app: BatchApp,
        brokers: Brokers,
        manager: PartitionManager,
        pipeline: Pipeline,
        store: StateStore,
        observers: Observers,
    ) -> None:
        self._settings = settings
        self._app = app
        self._log = Log(settings, brokers)
        self._group = Group(settings, brokers, settings.group)
        self._manager = manager
        self._pipeline = pipeline
        self._store = store
        self._metrics = observers.metrics
        self._health = observers.health
        self._asked_at = 0.0
        self._reported: set[TopicPartition] = set()

    async def look(self) -> None:
        """One look. Raises nothing for a server that is away: that is what it reports."""
        consumer = self._app.consumer
        if time.monotonic() - self._asked_at >= _ASK_SERVERS_S:
            await self._ask_servers()
            self._asked_at = time.monotonic()
        in_flight = consumer.in_flight
        self._metrics.inflight(in_flight.num_records, in_flight.num_bytes)
        self._health.flowing(bool(consumer.flow_active))
        if in_flight.num_records == 0 and consumer.flow_active:
            # Having nothing to do is progress; records in flight are none until they are committed.
            self._health.progress()
        self._report_lag(consumer.positions)
        with contextlib.suppress(DependencyError):
            self._manager.look_at_topics(await self._log.topic_ids(self._settings.topics))
        await self._pipeline.skip()

    async def follow(self, leader: Leader) -> None:
        """Learn how far the group has come that this shadow follows, and go on up to there."""
        with contextlib.suppress(DependencyError):
            await leader.look(self._manager.partitions)
        if self._app.consumer.release():
            # Waiting for the group is no lack of progress.
            self._health.progress()

    async def _ask_servers(self) -> None:
        bound_s = self._settings.request_timeout_s
        try:
            await asyncio.wait_for(self._store.probe(), bound_s)
        except REDIS_ERRORS:
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
        partitions, idle = self._manager.partitions, self._app.consumer.idle_positions()
        for tp in self._reported - set(partitions):
            self._metrics.drop_lag(tp.topic, tp.partition)
        self._reported = set(partitions) & set(positions)
        lags: dict[TopicPartition, int] = {}
        for tp in self._reported:
            position, end = positions[tp]
            partition = partitions[tp]
            # With nothing in flight, only transaction markers are left up to the consumer's position.
            is_done = tp in idle and partition.is_done_at(position)
            reached = position if is_done else partition.committed
            lags[tp] = max(0, end - reached)
            self._metrics.lag(tp.topic, tp.partition, lags[tp])
        oldest_ms = self._pipeline.last_timestamp_ms if any(lags.values()) else None
        self._metrics.lag_seconds(0.0 if oldest_ms is None else max(0.0, time.time() - oldest_ms / 1000))

    async def read_ends(self) -> dict[TopicPartition, int]:
        """The ends of the input topics as they are now."""
        counts = await self._log.partition_counts(self._settings.topics)
        tps = [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]
        return await self._log.ends(tps)

    async def has_reached(self, ends: Mapping[TopicPartition, int]) -> bool:
        """Whether every partition is done up to its end in `ends`, here or by the group's other members."""
        partitions, positions = self._manager.partitions, self._app.consumer.idle_positions()
        here = {tp: end for tp, end in ends.items() if tp in partitions}
        if not all(self._is_done(partitions[tp], end, positions.get(tp, 0)) for tp, end in here.items()):
            return False
        elsewhere = {tp: end for tp, end in ends.items() if end > 0 and tp not in here}
        if not elsewhere:
            return True
        offsets, _ = await self._group.offsets(elsewhere)
        return all((found := offsets.get(tp)) is not None and found.offset >= end for tp, end in elsewhere.items())

    def _is_done(self, partition: Partition, end: int, position: int) -> bool:
        """A log may end in transaction markers, which the consumer passes and no record ever reaches."""
        return partition.committed >= end or (partition.is_done_at(position) and position >= end)
