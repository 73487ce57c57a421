"""Follows an output topic: reads committed records only, without a consumer group."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.text import Text

from worker.errors import DependencyError, RecordError, TopicsError
from worker.kafka.access.probe import kafka_trouble
from worker.kafka.access.rights import Rights, check_rights
from worker.kafka.brokers import Brokers
from worker.kafka.clients import client_options, stop_consumer
from worker.kafka.log import Log
from worker.kafka.protocol.batches import unpacking
from worker.process import stop_on_signals
from worker.records.outputs import output_reader
from worker.records.types import SentimentEvent, ShiftEvent
from worker.settings import Settings
from worker.tools.terminal.marks import COLORS

_POLL_MS = 200


@asynccontextmanager
async def open_reader(
    settings: Settings, topics: Sequence[str], *, from_start: bool, optional: Sequence[str] = ()
) -> AsyncIterator[Any]:
    """An aiokafka consumer of every partition of `topics`, positioned at their beginning or their end.

    optional: topics that are read too where they exist and the user has the right.
    Raises DependencyError when Kafka does not answer, TopicsError when a topic is missing.
    """
    async with Brokers(settings) as brokers:
        await check_rights(settings, brokers, Rights(reads=tuple(topics)))
        allowed = [topic for topic in optional if await _may_read(settings, brokers, topic)]
        counts = await Log(settings, brokers).partition_counts([*topics, *allowed])
    missing = [topic for topic in topics if topic not in counts]
    if missing:
        raise TopicsError(f"missing topics: {', '.join(missing)}; `sentiment topics` creates them")
    consumer: Any = AIOKafkaConsumer(
        **client_options(settings), isolation_level="read_committed", enable_auto_commit=False
    )
    try:
        await asyncio.wait_for(consumer.start(), settings.request_timeout_s)
        consumer.assign([TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)])
        await (consumer.seek_to_beginning() if from_start else consumer.seek_to_end())
        yield consumer
    except (KafkaError, OSError, TimeoutError) as error:
        raise await kafka_trouble(settings, error) from error
    finally:
        await stop_consumer(consumer, consumer.stop())


async def _may_read(settings: Settings, brokers: Brokers, topic: str) -> bool:
    try:
        await check_rights(settings, brokers, Rights(reads=(topic,)))
    except DependencyError:
        return False
    return True


async def follow(settings: Settings, topic: str, show: Callable[[bytes], None], *, from_start: bool) -> None:
    """Call `show` with the event of every record of `topic`, as JSON, until Ctrl-C or SIGTERM."""
    read = output_reader(settings, ShiftEvent if topic == settings.shifts_topic else SentimentEvent)
    await _follow_records(settings, topic, (), lambda record: show(as_json(read, record.value)), from_start=from_start)


async def follow_outputs(settings: Settings, show: Callable[[Any], None], *, from_start: bool) -> None:
    """Call `show` with every record of events, shifts and dead letters until Ctrl-C or SIGTERM.

    Shifts and dead letters are left out where the user may not read them.
    """
    beside = settings.shifts_topic, settings.deadletters_topic
    await _follow_records(settings, settings.events_topic, beside, show, from_start=from_start)


async def _follow_records(
    settings: Settings, topic: str, optional: Sequence[str], show: Callable[[Any], None], *, from_start: bool
) -> None:
    stop = stop_on_signals()
    async with open_reader(settings, [topic], from_start=from_start, optional=optional) as consumer:
        while not stop.is_set():
            with unpacking(consumer):
                fetched = await consumer.getmany(timeout_ms=_POLL_MS)
            records = [record for records in fetched.values() for record in records]
            for record in sorted(records, key=lambda record: record.timestamp) if optional else records:
                show(record)


def as_json(read: Callable[[bytes], bytes], value: bytes | None) -> bytes:
    """The event as JSON; a value of another format as it is."""
    if value is None:
        return b"null"
    try:
        return read(value)
    except (RecordError, msgspec.DecodeError, UnicodeDecodeError):
        return value


def show_json(value: bytes) -> None:
    """Write the value unchanged, on its own line."""
    sys.stdout.buffer.write(value + b"\n")
    sys.stdout.buffer.flush()


def show_event(console: Console) -> Callable[[bytes], None]:
    """Returns a function that shows a sentiment event on one line."""

    def line(event: SentimentEvent) -> Text:
        return Text.assemble(
            (f"{event.source.time}  {event.source.topic:<8} {event.stream:<20} ", ""),
            (f"{event.label:<8} {event.score:+.2f}", COLORS.get(event.label, "")),
            f"  mood {event.mood.score:+.2f}  ",
            (", ".join(word.word for word in event.words), "dim"),
        )

    return _line_writer(console, SentimentEvent, line)


def show_shift(console: Console) -> Callable[[bytes], None]:
    """Returns a function that shows a shift event on one line."""

    def line(shift: ShiftEvent) -> Text:
        before, after = shift.from_level, shift.to_level
        return Text.assemble(
            f"{shift.source.time}  {shift.source.topic:<8} {shift.stream:<20} ",
            (f"{before.label} {before.score:+.2f}", COLORS.get(before.label, "")),
            " -> ",
            (f"{after.label} {after.score:+.2f}", COLORS.get(after.label, "")),
            f"  since {shift.since}",
        )

    return _line_writer(console, ShiftEvent, line)


def _line_writer(console: Console, kind: type[Any], line: Callable[[Any], Text]) -> Callable[[bytes], None]:
    decoder = msgspec.json.Decoder(kind)

    def show(value: bytes) -> None:
        try:
            shown = line(decoder.decode(value))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            shown = Text(f"a record that is not a {kind.__name__}: {error}", "red")
        console.print(shown, soft_wrap=True)

    return show
