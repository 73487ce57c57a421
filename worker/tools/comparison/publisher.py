"""Publishes what a shadow has compared, every few seconds, to a topic of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable

import msgspec
from aiokafka.errors import KafkaError
from msgspec import structs

from worker.kafka.access.causes import kafka_away
from worker.kafka.brokers import Brokers
from worker.kafka.producer import BatchProducer, FencedError, ProducerRecord
from worker.records.codec import format_time
from worker.records.comparison import ComparisonEvent
from worker.records.headers import comparison_headers
from worker.records.types import TopicPartition
from worker.settings import Settings
from worker.tools.comparison.join import Pair, Tally

INTERVAL_S = 5.0


class ComparisonPublisher:
    """Counts the records of a shadow's own partitions and model, so that no two shadows count one record.

    settings: those of the group that is followed. owned: returns the input partitions that the shadow has now.
    """

    def __init__(
        self,
        settings: Settings,
        producer: BatchProducer,
        fingerprint: str,
        owned: Callable[[], Collection[TopicPartition]],
    ) -> None:
        self._settings = settings
        self._producer = producer
        self._fingerprint = fingerprint
        self._owned = owned
        self._tally = Tally()
        self._since_s = time.time()

    async def start(self) -> None:
        """Begin a new producer and a new interval. Raises DependencyError and RefusedError."""
        await self._producer.start()
        self._tally, self._since_s = Tally(), time.time()

    async def add(self, pairs: Iterable[Pair]) -> None:
        """Count `pairs`, and publish what is counted once the interval is over.

        An interval in which nothing was compared has no record. Raises DependencyError and RefusedError; what was
        counted is lost then, or published where the broker's answer is.
        """
        owned = self._owned()
        for pair in pairs:
            if pair.shadow.model.fingerprint == self._fingerprint and pair.source in owned:
                self._tally.add(pair)
        now_s = time.time()
        if now_s - self._since_s < INTERVAL_S:
            return
        tally, since_s = self._tally, self._since_s
        self._tally, self._since_s = Tally(), now_s
        await self._send(tally, format_time(int(since_s * 1000)), format_time(int(now_s * 1000)))

    async def _send(self, tally: Tally, since: str, until: str) -> None:
        events = [ComparisonEvent(**structs.asdict(one), since=since, until=until) for one in tally.comparisons()]
        records = [
            ProducerRecord(
                self._settings.comparisons_topic,
                0,  # all in one partition, so that they have one order
                event.shadow.fingerprint.encode(),
                msgspec.json.encode(event),
                comparison_headers(self._settings, event),
            )
            for event in events
        ]
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                await self._producer.send(records)
        except (KafkaError, FencedError, TimeoutError) as error:
            raise kafka_away(self._settings, error) from error


def new_publisher(
    settings: Settings, brokers: Brokers, fingerprint: str, owned: Callable[[], Collection[TopicPartition]]
) -> ComparisonPublisher:
    """The publisher of a shadow that runs the model of `fingerprint`."""
    return ComparisonPublisher(settings, BatchProducer(settings, brokers), fingerprint, owned)
