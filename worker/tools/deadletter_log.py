"""Reads the dead-letter topic up to its current end, and how far each reason has been redriven.

The redrive has its own consumer group. The metadata of the group's offset holds one offset for each reason, so that a
later redrive can send the reasons that an earlier one skipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Collection, Iterator
from typing import Any, Self

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from worker.errors import Reason, TopicsError
from worker.kafka.clients import RETRY_S, client_options, group_offsets, is_passing_error, kafka_away
from worker.records.types import TopicPartition
from worker.retries import retry
from worker.settings import Settings

POLL_MS = 200

Progress = dict[str, int]


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

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        options = client_options(settings)
        self._admin: Any = AIOKafkaAdminClient(**options)
        self._consumer: Any = AIOKafkaConsumer(
            **options, enable_auto_commit=False, auto_offset_reset="earliest", isolation_level="read_committed"
        )

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as undo:
            undo.push_async_callback(self.__aexit__)
            await asyncio.wait_for(self._admin.start(), self._settings.request_timeout_s)
            await asyncio.wait_for(self._consumer.start(), self._settings.request_timeout_s)
            undo.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        # A connection that does not close in time ends with the process.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._consumer.stop(), self._settings.request_timeout_s)
        await self._admin.close()

    async def ends(self) -> dict[TopicPartition, int]:
        """The end of the committed records in every partition. Raises TopicsError when the topic is missing."""
        name = self._settings.deadletters_topic
        (topic,) = await self._admin.describe_topics([name])
        if topic["error_code"]:
            raise TopicsError(f"there is no topic {name}; `sentiment topics` creates it")
        numbers = sorted(partition["partition"] for partition in topic["partitions"])
        ends = await self._consumer.end_offsets([KafkaTopicPartition(name, number) for number in numbers])
        return {TopicPartition(*tp): end for tp, end in ends.items()}

    async def progress(self, tps: Collection[TopicPartition]) -> dict[TopicPartition, Progress]:
        """For each partition and reason, the offset below which every dead letter has been redriven."""
        # A new cluster creates its group coordinators on the first request, and refuses requests until they are ready.
        found = await retry(
            lambda: group_offsets(self._admin, redrive_group(self._settings), tps),
            is_passing=is_passing_error,
            wait_s=RETRY_S,
            timeout_s=self._settings.request_timeout_s,
        )
        return {tp: read_progress(entry) for tp, entry in found.items()}

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
            for tp, fetched in (await self._consumer.getmany(timeout_ms=POLL_MS)).items():
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


def read_progress(committed: OffsetAndMetadata) -> Progress:
    """The progress in a group offset; a reason that the metadata lacks (a manual reset) starts at the offset itself."""
    if committed.offset < 0:
        return dict.fromkeys(Reason, 0)
    try:
        known = msgspec.json.decode(committed.metadata, type=Progress)
    except msgspec.DecodeError:
        known = {}
    return {reason: known.get(reason, committed.offset) for reason in Reason}


def write_progress(progress: Progress) -> OffsetAndMetadata:
    """The offset to commit: no dead letter below it is left to redrive."""
    return OffsetAndMetadata(min(progress.values()), msgspec.json.encode(progress).decode())
