"""Sends records to their topics, at a rate or as fast as Kafka takes them.

A record's key is its stream, and its timestamp is the time of sending; the event time is in the payload.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from worker.errors import TopicsError
from worker.kafka.access.probe import kafka_trouble
from worker.kafka.access.rights import Rights, require_rights
from worker.kafka.brokers import Brokers
from worker.kafka.producer import BatchProducer, FencedError, ProducerRecord, TooLargeError
from worker.settings import Settings
from worker.tools.feed.background import Background
from worker.tools.feed.files import FileOptions
from worker.tools.feed.reader import BY_NAME, FileReader, Refuse
from worker.tools.feed.reports import Placed, Refusals, log_how_far, log_skipped, reporting
from worker.tools.simulate import FeedRecord

MAX_UNSENT_RECORDS = 2000
MAX_UNSENT_BYTES = 4 << 20
_MAX_CACHED_KEYS = 50_000
_TOPIC_TRIES, _TOPIC_WAIT_S = 5, 0.2

OnSent = Callable[[int], None]
"""Called with each further number of records that are sent."""


class FeedSummary(NamedTuple):
    """The number of records that Kafka acknowledged (in a dry run: that would be sent), and of lines refused."""

    num_sent: int
    num_refused: int


def try_files(
    settings: Settings,
    paths: Iterable[Path],
    topic: str,
    options: FileOptions = BY_NAME,
    on_read: OnSent | None = None,
) -> FeedSummary:
    """Read the files as `feed_files` does, send nothing and ask no server. Raises InputFileError, SettingsError."""
    refusals, reader = Refusals(topic), FileReader(topic, settings, options)
    num_read = 0
    for _ in reporting(reader.read(paths, refusals), topic, is_quiet=on_read is not None):
        num_read += 1
        if on_read and num_read % MAX_UNSENT_RECORDS == 0:
            on_read(MAX_UNSENT_RECORDS)
    log_skipped(reader.num_skipped, topic)
    return FeedSummary(num_read, refusals.number)


async def feed_files(  # noqa: PLR0913, PLR0917 - what the command line may say
    settings: Settings,
    paths: Iterable[Path],
    topic: str,
    rate: float | None,
    stop: asyncio.Event,
    options: FileOptions = BY_NAME,
    on_sent: OnSent | None = None,
) -> FeedSummary:
    """Send the records of `paths` to `topic` until `stop`: `rate` per second, or None: as fast as Kafka accepts them.

    A line that the worker would refuse, or that is larger than the topic takes, is not sent but logged, with its file
    and line number. Progress is logged too, where no `on_sent` shows it, and after a stop or an error how far it came.
    Raises InputFileError when a file cannot be read (before anything is sent where that shows at once), TopicsError
    when a topic is missing, DependencyError when Kafka does not answer.
    """
    paths = list(paths)
    in_files, too_large = Refusals(topic), Refusals(topic)  # each is counted in a thread of its own
    reader = FileReader(topic, settings, options)
    reader.check(paths)
    await require_rights(settings, Rights(writes=(topic,)))
    sender = _Sender(settings, rate, stop, too_large, on_sent)
    is_quiet = on_sent is not None
    reading = Background(reporting(reader.read(paths, in_files), topic, is_quiet=is_quiet))
    is_through = False
    try:
        await sender.run(reading.items(stop))
        is_through = not stop.is_set()
    finally:
        reading.close()
        if not is_through:
            log_how_far(sender.num_sent, sender.last_place, topic)
    log_skipped(reader.num_skipped, topic)
    return FeedSummary(sender.num_sent, in_files.number + too_large.number)


async def send_feed(
    settings: Settings,
    records: Iterable[FeedRecord],
    rate: float | None,
    stop: asyncio.Event,
    on_sent: OnSent | None = None,
) -> int:
    """Send `records`, `rate` per second, until they end or `stop` is set; returns the number that Kafka acknowledged.

    The order within a stream is kept, and no record is written twice.
    Raises TopicsError when a topic is missing, DependencyError when Kafka does not answer.
    """
    sender = _Sender(settings, rate, stop, on_sent=on_sent)
    await sender.run(_one_by_one(records))
    return sender.num_sent


async def _one_by_one(records: Iterable[FeedRecord]) -> AsyncIterator[Placed]:
    for record in records:
        yield record, ""


class _Sender:
    """Sends records in the order in which they come; `refuse` is called with each that a topic does not take."""

    def __init__(
        self,
        settings: Settings,
        rate: float | None,
        stop: asyncio.Event,
        refuse: Refuse | None = None,
        on_sent: OnSent | None = None,
    ) -> None:
        self._settings = settings
        self._rate = rate
        self._stop = stop
        self._refuse = refuse
        self._on_sent = on_sent
        self._partitions: dict[str, Callable[[bytes | None], int]] = {}
        self._unsent: list[tuple[ProducerRecord, str]] = []
        self._unsent_bytes = 0
        self.num_sent = 0
        self.last_place = ""
        """Where the last record that Kafka has acknowledged came from."""

    async def run(self, records: AsyncIterator[Placed | None]) -> None:
        """Send `records` until they end or the feed is stopped; None: the next one is not there yet."""
        try:
            async with Brokers(self._settings) as brokers:
                producer = BatchProducer(self._settings, brokers)
                await producer.start()
                await self._send_all(brokers, producer, records)
        except (KafkaError, OSError, TimeoutError, FencedError) as error:
            raise await kafka_trouble(self._settings, error) from error

    async def _send_all(self, brokers: Brokers, producer: BatchProducer, records: AsyncIterator[Placed | None]) -> None:
        num_taken, started = 0, time.monotonic()
        async for placed in records:
            if placed is None:
                await self._flush(producer)
                continue
            record, place = placed
            if self._rate and (due := started + num_taken / self._rate) > time.monotonic():
                await self._flush(producer)
                await _wait_until(due, self._stop)
            if self._stop.is_set():
                break
            num_taken += 1
            if record.topic not in self._partitions:
                self._partitions[record.topic] = _partitioner(await _count_partitions(brokers, record.topic))
            partition = self._partitions[record.topic](record.key)
            self._unsent.append((ProducerRecord(record.topic, partition, record.key, record.value, ()), place))
            self._unsent_bytes += len(record.value or b"")
            if len(self._unsent) >= MAX_UNSENT_RECORDS or self._unsent_bytes >= MAX_UNSENT_BYTES:
                await self._flush(producer)
        await self._flush(producer)

    async def _flush(self, producer: BatchProducer) -> None:
        """Send what has not been sent; what a topic does not take is refused, and the rest sent."""
        while unsent := self._unsent:
            num_before = self.num_sent
            try:
                async with asyncio.timeout(self._settings.request_timeout_s):
                    await producer.send([record for record, _ in unsent])
                left: list[tuple[ProducerRecord, str]] = []
            except TooLargeError as error:
                if self._refuse is None:
                    raise
                refused, undelivered = ({id(one) for one in ones} for ones in (error.refused, error.undelivered))
                for record, place in unsent:
                    if id(record) in refused:
                        self._refuse(f"{place}: too_large: {record.topic} does not take {record.num_bytes} bytes")
                left = [one for one in unsent if id(one[0]) in undelivered]
                self.num_sent -= len(refused)
            self.num_sent += len(unsent) - len(left)
            self.last_place = unsent[-1][1] if not left else self.last_place
            self._unsent = left
            if self._on_sent:
                self._on_sent(self.num_sent - num_before)
        self._unsent_bytes = 0


def _partitioner(num_partitions: int) -> Callable[[bytes | None], int]:
    """From a key to the partition that other producers choose for it; hashing it costs more than reading a record."""
    partitions = list(range(num_partitions))
    partitioner = DefaultPartitioner()

    @lru_cache(maxsize=_MAX_CACHED_KEYS)
    def choose(key: bytes) -> int:
        return int(partitioner(key, partitions, partitions))

    return lambda key: choose(key) if key is not None else int(partitioner(None, partitions, partitions))


async def _count_partitions(brokers: Brokers, topic: str) -> int:
    """Raises TopicsError when the topic is missing; one that is being created is waited for a moment."""
    for _ in range(_TOPIC_TRIES):
        if number := await brokers.num_partitions(topic):
            return number
        await asyncio.sleep(_TOPIC_WAIT_S)
    raise TopicsError(f"there is no topic {topic}; `sentiment topics` creates the input topics")


async def _wait_until(due: float, stop: asyncio.Event) -> None:
    """Sleep until the monotonic clock reaches `due`, or until `stop`."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), max(0.0, due - time.monotonic()))
