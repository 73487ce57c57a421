"""Sends records to the input topics at a given rate, from files or from any iterable (such as a simulated feed).

JSON lines are sent unchanged, so they may have any shape that `Settings.fields` maps. A CSV row becomes a JSON object
of its columns, without the empty cells; the cells of the fields time and final are converted to their types.
A record's key is its stream, and its timestamp is the time of sending; the event time is in the payload.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import gzip
import io
import logging
import re
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from worker.errors import InputFileError, RecordError, TopicsError
from worker.kafka.access.probe import kafka_trouble
from worker.kafka.access.rights import Rights, require_rights
from worker.kafka.clients import client_options
from worker.payloads.payload import FieldPaths, as_paths
from worker.records.codec import Codec
from worker.records.keys import encode_stream_key
from worker.records.types import Skipped
from worker.settings import Settings
from worker.tools.simulate import FeedRecord

logger = logging.getLogger(__name__)

MAX_IN_FLIGHT = 5000
LINGER_MS = 5
REPORT_INTERVAL_S = 2.0
JSON_LINES, CSV = (".jsonl", ".ndjson", ".json"), (".csv",)
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
TRUTHS = {"true": True, "1": True, "false": False, "0": False}

Lines = Iterator[tuple[int, bytes]]
File = gzip.GzipFile | io.BufferedReader


class FeedSummary(NamedTuple):
    """The number of records that Kafka acknowledged, and of lines that were refused."""

    num_sent: int
    num_refused: int


async def feed_files(
    settings: Settings, paths: Iterable[Path], topic: str, rate: float | None, stop: asyncio.Event
) -> FeedSummary:
    """Send the records of `paths` to `topic` until `stop`: `rate` per second, or None: as fast as Kafka accepts them.

    A line that the worker would refuse is not sent but logged, with its file and line number; one that it would skip is
    left out. Progress is logged too.
    Raises InputFileError when a file cannot be read, TopicsError when a topic is missing, DependencyError when Kafka
    does not answer.
    """
    await require_rights(settings, Rights(writes=(topic,)))
    num_refused = 0

    def refuse(message: str) -> None:
        nonlocal num_refused
        num_refused += 1
        logger.error("%s", message, extra={"action": "feed_refused", "topic": topic})

    records = _reporting(read_files(paths, topic, settings, refuse), topic)
    return FeedSummary(await send_feed(settings, records, rate, stop), num_refused)


async def send_feed(settings: Settings, records: Iterable[FeedRecord], rate: float | None, stop: asyncio.Event) -> int:
    """Send `records`, `rate` per second, until they end or `stop` is set; returns the number that Kafka acknowledged.

    The idempotent producer keeps the order within a stream and writes no record twice. At most MAX_IN_FLIGHT records
    are unacknowledged at a time.
    Raises TopicsError when a topic is missing, DependencyError when Kafka does not answer.
    """
    compression = None if settings.compression == "none" else settings.compression
    producer: Any = AIOKafkaProducer(
        **client_options(settings), enable_idempotence=True, linger_ms=LINGER_MS, compression_type=compression
    )
    try:
        await asyncio.wait_for(producer.start(), settings.request_timeout_s)
        return await _send_all(producer, records, rate, stop)
    except UnknownTopicOrPartitionError as error:
        raise TopicsError("the input topics are missing; `sentiment topics` creates them") from error
    except (KafkaError, OSError, TimeoutError) as error:
        raise await kafka_trouble(settings, error) from error
    finally:
        await _stop(producer, settings.request_timeout_s)


async def _stop(producer: Any, timeout_s: float) -> None:
    """Close the connection. Every acknowledgement has been awaited by then, so a timeout here loses nothing."""
    with contextlib.suppress(TimeoutError, KafkaError):
        await asyncio.wait_for(producer.stop(), timeout_s)


async def _send_all(producer: Any, records: Iterable[FeedRecord], rate: float | None, stop: asyncio.Event) -> int:
    in_flight: deque[asyncio.Future[Any]] = deque()
    num_sent = 0
    started = time.monotonic()
    for record in records:
        if rate is not None:
            await _wait_until(started + num_sent / rate, stop)
        if stop.is_set():
            break
        in_flight.append(await producer.send(record.topic, record.value, record.key))
        num_sent += 1
        if len(in_flight) >= MAX_IN_FLIGHT:
            await in_flight.popleft()
    await asyncio.gather(*in_flight)
    return num_sent


async def _wait_until(due: float, stop: asyncio.Event) -> None:
    """Sleep until the monotonic clock reaches `due`, or until `stop`."""
    delay_s = due - time.monotonic()
    if delay_s <= 0:
        return
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), delay_s)


def read_files(
    paths: Iterable[Path], topic: str, settings: Settings, refuse: Callable[[str], None]
) -> Iterator[FeedRecord]:
    """Yield the records of the files in order; calls `refuse` with the file, line and reason of each invalid one.

    Raises InputFileError when a file is missing, truncated or of an unknown type.
    """
    codec = Codec(settings)
    payload, fields = settings.payload_of(topic)
    key_format = "text" if payload.key_format == "payload" else payload.key_format
    for path in paths:
        for line, value in _read_values(path, fields):
            now_ms = int(time.time() * 1000)
            try:
                text = codec.decode(topic, None, value, 0, line, now_ms)
                if not isinstance(text, Skipped):
                    yield FeedRecord(topic, encode_stream_key(text.stream, key_format), value, text.time_ms)
            except RecordError as error:
                refuse(f"{path}:{line}: {error.reason}: {error}")


def _read_values(path: Path, fields: FieldPaths) -> Lines:
    """Yield the line number and payload of each record in a file."""
    kind = next((suffix.lower() for suffix in reversed(path.suffixes) if suffix.lower() != ".gz"), "")
    if kind not in JSON_LINES + CSV:
        raise InputFileError(f"{path}: the name should end in {', '.join(JSON_LINES + CSV)}, or one of these with .gz")
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            yield from _csv_values(path, file, fields) if kind in CSV else _json_values(file)
    except OSError as error:
        raise InputFileError(f"{path}: {error.strerror or error}") from error
    except (EOFError, zlib.error) as error:
        raise InputFileError(f"{path}: {error}") from error


def _json_values(file: File) -> Lines:
    for line, content in enumerate(file, start=1):
        if content.strip():
            yield line, content.strip()


def _csv_values(path: Path, file: File, fields: FieldPaths) -> Lines:
    rows = csv.DictReader(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""))
    try:
        for row in rows:
            if None in row:
                raise InputFileError(f"{path}:{rows.line_num}: more cells than columns in the header")
            yield rows.line_num, msgspec.json.encode(_typed(row, fields))
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputFileError(f"{path}, soon after line {rows.line_num}: {error}") from error


def _typed(row: dict[str, str], fields: FieldPaths) -> dict[str, Any]:
    """The cells that are not empty; the field time becomes a number if it looks like one, the field final a boolean."""
    payload: dict[str, Any] = {name: cell for name, cell in row.items() if cell}
    for name in as_paths(fields.time):
        if NUMBER.fullmatch(row.get(name) or ""):
            payload[name] = float(row[name])
    for name in as_paths(fields.final):
        final = (row.get(name) or "").lower()
        if final in TRUTHS:
            payload[name] = TRUTHS[final]
    return payload


def _reporting(records: Iterable[FeedRecord], topic: str) -> Iterator[FeedRecord]:
    """Pass the records through, and log their number every REPORT_INTERVAL_S and at the end."""
    reported = time.monotonic()
    num_read = 0
    for num_read, record in enumerate(records, start=1):
        yield record
        if time.monotonic() - reported >= REPORT_INTERVAL_S:
            reported = time.monotonic()
            logger.info("fed %d records to %s", num_read, topic, extra={"action": "feed", "topic": topic})
    logger.info("fed %d records to %s, the end", num_read, topic, extra={"action": "feed", "topic": topic})
