"""Reads the dead-letter topic up to its current end, and how far each reason has been redriven.

The redrive has its own consumer group. The metadata of the group's offset holds one offset for each reason, so that a
later redrive can send the reasons that an earlier one skipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from typing import Any, Self

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.errors import KafkaError

from worker.errors import Reason, SentimentError, TopicsError
from worker.kafka.access.causes import kafka_away
from worker.kafka.brokers import Brokers
from worker.kafka.clients import client_options
from worker.kafka.group import Group
from worker.kafka.group_offsets import GroupOffset
from worker.kafka.log import Log
from worker.kafka.protocol.batches import unpacking
from worker.records.types import TopicPartition
from worker.settings import Settings

POLL_MS = 200

MAX_METADATA_BYTES = 3800  # a broker takes 4096 by default (offset.metadata.max.bytes)
SINGLY = "singly"

Progress = dict[str, Any]
"""For each reason the offset below which every dead letter has been redriven; under SINGLY, the ranges of offsets
(from, up to) that were redriven beyond it, because a filter left out others."""


def redrive_group(settings: Settings) -> str:
    """The consumer group of the redrive, which is also its transactional id."""
    return f"{settings.group}-redrive"


@contextlib.contextmanager
def kafka_errors_translated(settings: Settings) -> Iterator[None]:
    """Raises DependencyError in place of any error that means that Kafka does not answer."""
    try:
        yield
    except (KafkaError, OSError, TimeoutError) as error:
        raise kafka_away(settings, error) from error


class DeadLetterLog:
    """Reads the dead-letter topic and the progress of its redrive."""

    def __init__(self, settings: Settings, brokers: Brokers) -> None:
        self._settings = settings
        self._log = Log(settings, brokers)
        self._group = Group(settings, brokers, redrive_group(settings))
        self._consumer: Any = AIOKafkaConsumer(
            **client_options(settings),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as undo:
            undo.push_async_callback(self.__aexit__)
            await asyncio.wait_for(self._consumer.start(), self._settings.request_timeout_s)
            undo.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        # A connection that does not close in time ends with the process.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._consumer.stop(), self._settings.request_timeout_s)

    async def ends(self) -> dict[TopicPartition, int]:
        """The end of the committed records in every partition. Raises TopicsError when the topic is missing."""
        name = self._settings.deadletters_topic
        counts = await self._log.partition_counts([name])
        if name not in counts:
            raise TopicsError(f"there is no topic {name}; `sentiment topics` creates it")
        ends = await self._consumer.end_offsets([KafkaTopicPartition(name, number) for number in range(counts[name])])
        return {TopicPartition(*tp): end for tp, end in ends.items()}

    async def progress(self, tps: Collection[TopicPartition]) -> dict[TopicPartition, Progress]:
        """For each partition and reason, the offset below which every dead letter has been redriven."""
        # A redrive has fenced all others before it asks; a list beside a redrive shows what that has committed.
        found, _ = await self._group.offsets(tps, stable=False)
        return {tp: read_progress(found.get(tp)) for tp in tps}

    async def chunks(
        self, starts: dict[TopicPartition, int], ends: dict[TopicPartition, int]
    ) -> AsyncIterator[list[Any]]:
        """Yield the committed records from `starts` up to `ends` (exclusive); a list holds one partition's, in order.

        Can be called once only. Raises TimeoutError when reading makes no progress.
        """
        left = {tp: start for tp, start in starts.items() if start < ends[tp]}
        self._consumer.assign([KafkaTopicPartition(*tp) for tp in left])
        for tp, start in left.items():
            self._consumer.seek(KafkaTopicPartition(*tp), start)
        moved_at = time.monotonic()
        while left:
            with unpacking(self._consumer):
                answer = await self._consumer.getmany(timeout_ms=POLL_MS)
            for tp, fetched in answer.items():
                records = [record for record in fetched if record.offset < ends[tp]]
                if records:
                    yield records
                    moved_at = time.monotonic()
            positions = {tp: await self._position(tp) for tp in left}
            if positions != left:
                moved_at = time.monotonic()
            left = {tp: position for tp, position in positions.items() if position < ends[tp]}
            if time.monotonic() - moved_at > self._settings.request_timeout_s:
                raise TimeoutError(f"{self._settings.deadletters_topic} cannot be read past {left}")

    async def _position(self, tp: TopicPartition) -> int:
        position: int = await asyncio.wait_for(
            self._consumer.position(KafkaTopicPartition(*tp)), self._settings.request_timeout_s
        )
        return position


def read_progress(committed: GroupOffset | None) -> Progress:
    """The progress in a group offset; a reason that the metadata lacks (a manual reset) starts at the offset itself."""
    if committed is None:
        return dict.fromkeys(Reason, 0)
    try:
        known = msgspec.json.decode(committed.metadata, type=dict[str, int | list[tuple[int, int]]])
    except msgspec.DecodeError:
        known = {}
    progress: Progress = {reason: known.get(reason, committed.offset) for reason in Reason}
    return progress | {SINGLY: known[SINGLY]} if known.get(SINGLY) else progress


def write_progress(progress: Progress) -> GroupOffset:
    """The offset to commit: no dead letter below it is left to redrive. Raises SentimentError when it is too long."""
    lowest = min(progress[reason] for reason in Reason)
    kept: Progress = {reason: progress[reason] for reason in Reason}
    if ranges := [one for one in progress.get(SINGLY, ()) if one[1] > lowest]:
        kept[SINGLY] = ranges
    metadata = msgspec.json.encode(kept).decode()
    if len(metadata) > MAX_METADATA_BYTES:
        raise SentimentError(
            f"the filter leaves too many dead letters between those that it chooses ({len(ranges)} gaps); redrive "
            "these by reason alone, or choose a shorter time"
        )
    return GroupOffset(lowest, metadata)


def is_redriven(progress: Progress, reason: Reason, offset: int) -> bool:
    """Whether the dead letter at `offset` has been redriven."""
    return bool(offset < progress[reason] or any(start <= offset < end for start, end in progress.get(SINGLY, ())))


def with_runs(progress: Progress, settled: Iterable[tuple[int, bool]]) -> Progress:
    """The progress with every run of offsets that are settled; `settled`: offsets in order, and whether each is."""
    runs: list[tuple[int, int]] = []
    is_open = False
    for offset, is_settled in settled:
        if is_settled:
            start = runs.pop()[0] if is_open else offset
            runs.append((start, offset + 1))
        is_open = is_settled
    merged: list[tuple[int, int]] = []
    for start, end in sorted([*progress.get(SINGLY, ()), *runs]):
        if merged and start <= merged[-1][1]:
            start, end = merged[-1][0], max(end, merged.pop()[1])  # noqa: PLW2901
        merged.append((start, end))
    return progress | {SINGLY: merged}
