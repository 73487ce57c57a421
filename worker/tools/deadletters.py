"""Dead letters: look at them, and send them back to where they came from, each exactly once.

A redrive goes through every partition of the dead letters from where the last one stood to the end there was at its
start. Per chunk, in this order (what happens when it dies is said behind each step):

1. Read committed dead letters, and choose those of the reasons asked for.        Nothing happened.
2. Send the originals to their topic and partition: key, value, timestamp, headers.  The transaction aborts.
3. Commit how far each reason has come, in the same transaction.                   It is done, or it is not: both whole.

Every reason has a progress of its own (deadletter_log.py). The transactional id fences a redrive that is still running
when another one starts; the later one reads the progress after fencing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection
from typing import Any, NamedTuple, Self

import msgspec
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced, UnknownTopicOrPartitionError

from worker.errors import Reason, SentimentError, TopicsError, UndecidedCommitError
from worker.kafka.clients import client_options
from worker.records.codec import EPOCH, MILLISECOND, format_time
from worker.records.headers import read_deadletter_headers, redriven_headers
from worker.records.types import Count, DeadLetterHeaders, Source
from worker.settings import Settings
from worker.tools.deadletter_log import DeadLetterLog, Progress, kafka_errors_translated, redrive_group, write_progress

MAX_BATCH_BYTES = 1 << 18
RETRY_BACKOFF_MS = 4  # a broker that still finishes the last transaction lets the next one wait so long

Letter = tuple[Any, DeadLetterHeaders]


class DeadLetter(msgspec.Struct, frozen=True):
    """One dead letter as it is listed. `id` is its own topic-partition-offset, `time` when it became one.

    pending: a redrive would send it. Without reason and source: the worker did not write it, and no redrive sends it.
    """

    id: str
    time: str
    reason: Reason | None
    error: str
    source: Source | None
    key: str | None
    num_bytes: Count
    num_redriven: Count
    pending: bool


class RedriveSummary(NamedTuple):
    """Originals that were sent back, and records that no worker wrote and that stay where they are."""

    num_redriven: int
    num_foreign: int


async def list_deadletters(settings: Settings, reasons: Collection[Reason] = ()) -> AsyncIterator[DeadLetter]:
    """Committed dead letters up to the present end, of `reasons`, or all; those of a partition oldest first.

    Commits nothing. Raises TopicsError, DependencyError.
    """
    with kafka_errors_translated(settings):
        async with DeadLetterLog(settings) as log:
            ends = await log.ends()
            progress = await log.progress(ends)
            async for chunk in log.chunks(dict.fromkeys(ends, 0), ends):
                for letter in (_describe(record, progress[_partition_of(record)]) for record in chunk):
                    if not reasons or letter.reason in reasons:
                        yield letter


async def redrive(settings: Settings, reasons: Collection[Reason] = ()) -> RedriveSummary:
    """Send the originals of the pending dead letters of `reasons`, or of all, back to where they came from.

    Raises TopicsError when a source is gone, SentimentError when another redrive has taken over, DependencyError, and
    UndecidedCommitError; after any of them, running it again goes on where it stands.
    """
    chosen = frozenset(reasons or Reason)
    num_redriven = num_foreign = 0
    with kafka_errors_translated(settings):
        # the producer first: it fences a redrive that still runs, whose progress could move after it was read
        async with _Sender(settings) as sender, DeadLetterLog(settings) as log:
            ends = await log.ends()
            progress = await log.progress(ends)
            starts = {tp: min(progress[tp][reason] for reason in chosen) for tp in ends}
            async for chunk in log.chunks(starts, ends):
                tp, reached = _partition_of(chunk[-1]), chunk[-1].offset + 1
                due, foreign = _sort_out(chunk, chosen, progress[tp])
                progress[tp] |= {reason: max(progress[tp][reason], reached) for reason in chosen}
                if due:
                    await sender.send_back(due, tp, progress[tp])
                num_redriven += len(due)
                num_foreign += foreign
    return RedriveSummary(num_redriven, num_foreign)


def _partition_of(record: Any) -> TopicPartition:
    return TopicPartition(record.topic, record.partition)


def _sort_out(chunk: list[Any], chosen: Collection[Reason], progress: Progress) -> tuple[list[Letter], int]:
    """The dead letters to send now, and the number of records that no worker wrote."""
    letters = [(record, read_deadletter_headers(record.headers)) for record in chunk]
    due = [
        (record, ours)
        for record, ours in letters
        if ours and ours.reason in chosen and _is_pending(record, ours, progress)
    ]
    return due, sum(ours is None for _, ours in letters)


def _is_pending(record: Any, ours: DeadLetterHeaders, progress: Progress) -> bool:
    """Whether a redrive would send it: what is left of a record that was cut is not its original."""
    return ours.cut_from == "0" and bool(record.offset >= progress[ours.reason])


def _describe(record: Any, progress: Progress) -> DeadLetter:
    ours = read_deadletter_headers(record.headers)
    source = Source(ours.topic, int(ours.partition), int(ours.offset), format_time(_time_ms(ours))) if ours else None
    return DeadLetter(
        id=f"{record.topic}-{record.partition}-{record.offset}",
        time=format_time(record.timestamp),
        reason=ours.reason if ours else None,
        error=ours.error if ours else "no worker wrote this record",
        source=source,
        key=None if record.key is None else record.key.decode(errors="backslashreplace"),
        num_bytes=len(record.value or b""),
        num_redriven=int(ours.redriven) if ours else 0,
        pending=ours is not None and _is_pending(record, ours, progress),
    )


def _time_ms(ours: DeadLetterHeaders) -> int:
    return (ours.time - EPOCH) // MILLISECOND


class _Sender:
    """Sends originals back, in transactions with the progress."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: Any = AIOKafkaProducer(
            **client_options(settings),
            transactional_id=redrive_group(settings),
            transaction_timeout_ms=int(settings.transaction_timeout_s * 1000),
            max_batch_size=MAX_BATCH_BYTES,
            retry_backoff_ms=RETRY_BACKOFF_MS,
        )

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as undo:
            undo.push_async_callback(self.__aexit__)
            await asyncio.wait_for(self._producer.start(), self._settings.request_timeout_s)
            undo.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        # what is left of the connection ends with the process; an open transaction aborts
        with contextlib.suppress(TimeoutError, KafkaError):
            await asyncio.wait_for(self._producer.stop(), self._settings.request_timeout_s)

    async def send_back(self, letters: list[Letter], tp: TopicPartition, progress: Progress) -> None:
        """Send the originals of `letters` and commit `progress` of their partition `tp`, as one."""
        for source in {(ours.topic, int(ours.partition)) for _, ours in letters}:
            await self._check_source(*source)
        try:
            async with asyncio.timeout(self._settings.commit_timeout_s):
                await self._producer.begin_transaction()
                await self._send(letters)
                await self._producer.send_offsets_to_transaction(
                    {tp: write_progress(progress)}, redrive_group(self._settings)
                )
                await self._producer.commit_transaction()
        except ProducerFenced as error:
            raise SentimentError("another redrive of the same group has taken over") from error
        except (KafkaError, TimeoutError) as error:
            raise UndecidedCommitError(
                f"whether the last dead letters of {tp.topic}-{tp.partition} were redriven is undecided "
                f"({type(error).__name__}: {error}); run it again: it goes on from what Kafka has"
            ) from error

    async def _check_source(self, topic: str, partition: int) -> None:
        try:
            there = await self._producer.partitions_for(topic)
        except UnknownTopicOrPartitionError:
            there = set()
        if partition not in there:
            raise TopicsError(f"dead letters came from {topic}-{partition}, which is not there any more")

    async def _send(self, letters: list[Letter]) -> None:
        """In batches: unlike `send`, they also take a record that has neither key nor value."""
        batches: dict[tuple[str, int], Any] = {}
        deliveries = []
        for record, ours in letters:
            target = ours.topic, int(ours.partition)
            original = {
                "key": record.key,
                "value": record.value,
                "timestamp": _time_ms(ours),
                "headers": redriven_headers(record.headers, int(ours.redriven) + 1),
            }
            if target not in batches or batches[target].append(**original) is None:
                if target in batches:
                    deliveries.append(await self._send_batch(target, batches[target]))
                batches[target] = self._producer.create_batch()
                # the first record of a batch fits, whatever its size: the topic's limit decides
                batches[target].append(**original)
        for target, batch in batches.items():
            deliveries.append(await self._send_batch(target, batch))
        for delivery in deliveries:
            await delivery

    async def _send_batch(self, target: tuple[str, int], batch: Any) -> Any:
        topic, partition = target
        return await self._producer.send_batch(batch, topic, partition=partition)
