"""Reads the events of a group and of its shadows: all that there are, or as they are committed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import msgspec
from aiokafka import TopicPartition

from worker.errors import RecordError
from worker.kafka.protocol.batches import unpacking
from worker.records.comparison import ModelComparison
from worker.records.outputs import output_reader
from worker.records.types import SentimentEvent
from worker.settings import Settings
from worker.tools.comparison.join import ComparedEvent, Join, Pair, Tally
from worker.tools.tail import open_reader

_POLL_MS = 200
# A shadow follows its group within a second or so.
_MAX_WAITING = 20_000


async def compare(settings: Settings) -> tuple[list[ModelComparison], int]:
    """The comparisons of all events that are there now, and the number of shadows' events without a counterpart.

    Raises DependencyError and TopicsError.
    """
    join, tally = Join(max_waiting_served=0), Tally()
    async for event in _read_all(settings, settings.shadow_topic):
        for pair in join.add_shadow(event):
            tally.add(pair)
    async for event in _read_all(settings, settings.events_topic):
        for pair in join.add_served(event):
            tally.add(pair)
    return tally.comparisons(), join.num_waiting


async def _read_all(settings: Settings, topic: str) -> AsyncIterator[ComparedEvent]:
    """The events of `topic` that are committed by now."""
    decode = _decoder(settings)
    async with open_reader(settings, [topic], from_start=True) as consumer:
        left: dict[TopicPartition, int] = await consumer.end_offsets(consumer.assignment())
        while left := {tp: end for tp, end in left.items() if await consumer.position(tp) < end}:
            for _, event in await _poll(consumer, decode):
                yield event


async def follow(settings: Settings) -> AsyncIterator[list[Pair]]:
    """The pairs that are completed from now on, for ever: several times a second those since the last time, or none.

    Raises DependencyError and TopicsError.
    """
    join = Join(_MAX_WAITING, _MAX_WAITING)
    decode = _decoder(settings)
    async with open_reader(settings, [settings.events_topic, settings.shadow_topic], from_start=False) as consumer:
        while True:
            pairs: list[Pair] = []
            for topic, event in await _poll(consumer, decode):
                pairs += (join.add_served if topic == settings.events_topic else join.add_shadow)(event)
            yield pairs


async def _poll(consumer: Any, decode: Callable[[bytes], Iterator[ComparedEvent]]) -> list[tuple[str, ComparedEvent]]:
    with unpacking(consumer):
        fetched = await consumer.getmany(timeout_ms=_POLL_MS)
    records = (record for of_partition in fetched.values() for record in of_partition if record.value is not None)
    return [(record.topic, event) for record in records for event in decode(record.value)]


def _decoder(settings: Settings) -> Callable[[bytes], Iterator[ComparedEvent]]:
    """Yields the event of a value; nothing for a value that is none."""
    read, decoder = output_reader(settings, SentimentEvent), msgspec.json.Decoder(ComparedEvent)

    def decode(value: bytes) -> Iterator[ComparedEvent]:
        try:
            yield decoder.decode(read(value))
        except (RecordError, msgspec.DecodeError, UnicodeDecodeError):
            return

    return decode
