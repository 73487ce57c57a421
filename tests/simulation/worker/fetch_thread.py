"""The thread that owns the aiokafka consumer: fetches that are stamped with the seek that they follow."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

from aiokafka.errors import KafkaError

from tests.simulation.kafka_model.brokers import SimulatedBrokers
from worker.kafka.transport.fetch_thread import Fetched
from worker.records.types import TopicPartition

_FETCH_WAIT_S = 0.25
_RETRY_S = 0.1


class Record(NamedTuple):
    """The fields of aiokafka's ConsumerRecord that the worker reads."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class FetchThread:
    """What the thread that owns the aiokafka consumer does."""

    def __init__(self, brokers: SimulatedBrokers) -> None:
        self._brokers = brokers
        self.seek_number = -1
        self.assigned: frozenset[TopicPartition] = frozenset()
        self.offsets: dict[TopicPartition, int] = {}

    async def seek_all(self, seek_number: int, positions: Mapping[TopicPartition, int]) -> None:
        """See BatchConsumerThread.seek_all."""
        self.seek_number = seek_number
        self.offsets = {tp: offset for tp, offset in positions.items() if tp in self.assigned}

    async def fetch(self) -> Fetched:
        """See BatchConsumerThread._fetch_records: what was asked before a seek is dropped, as aiokafka does."""
        asked, number = dict(self.offsets), self.seek_number
        if not asked:
            await asyncio.sleep(_FETCH_WAIT_S)
            return Fetched(self.seek_number, {}, {})
        try:
            answers = await self._brokers.fetch(asked, _FETCH_WAIT_S)
        except KafkaError:
            await asyncio.sleep(_RETRY_S)
            return Fetched(self.seek_number, {}, {})
        if number != self.seek_number:
            return Fetched(self.seek_number, {}, {})
        records = {}
        lost = frozenset(tp for tp, answer in answers.items() if answer is None)
        positions = {}
        for tp, answer in answers.items():
            if answer is None:
                continue
            entries, position, end = answer
            self.offsets[tp] = position
            positions[tp] = position, end
            if entries:
                records[tp] = [Record(*tp, e.offset, e.timestamp, e.key, e.value, e.headers) for e in entries]
        return Fetched(self.seek_number, records, positions, lost)
