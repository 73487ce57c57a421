"""Lists dead letters, and says of each whether a redrive would send it back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import Any, Literal

import msgspec

from worker.errors import Reason
from worker.kafka.access.rights import Rights, check_rights
from worker.kafka.brokers import Brokers
from worker.payloads.times import EPOCH, MILLISECOND
from worker.records.codec import format_time
from worker.records.headers import read_deadletter_headers
from worker.records.types import Count, DeadLetterHeaders, Source, TopicPartition
from worker.settings import Settings
from worker.tools.deadletter_filter import EVERYWHERE, Where
from worker.tools.deadletter_log import DeadLetterLog, Progress, is_redriven, kafka_errors_translated, redrive_group

Status = Literal["pending", "redriven", "cut", "given_up", "foreign"]


class DeadLetter(msgspec.Struct, frozen=True):
    """One dead letter of a list. `id` is its own topic-partition-offset, `time` is when it was written.

    status: pending, a redrive would send it; redriven; cut, only its beginning was kept; given_up, it has failed again
    after max_redrives redrives; foreign, no worker wrote it. pending: whether the status is. reason and source are None
    if the worker did not write the record; a redrive never sends such a record.
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
    status: Status


def rights_of_list(settings: Settings) -> Rights:
    """What `deadletters list` does."""
    return Rights(reads=(settings.deadletters_topic,), group=redrive_group(settings))


async def list_deadletters(
    settings: Settings, reasons: Collection[Reason] = (), where: Where = EVERYWHERE
) -> AsyncIterator[DeadLetter]:
    """Yield the committed dead letters of `reasons` (of all, if empty) and `where`, each partition's oldest first.

    Commits nothing. Raises TopicsError when the topic is missing, DependencyError when Kafka does not answer.
    """
    with kafka_errors_translated(settings):
        async with Brokers(settings) as brokers, DeadLetterLog(settings, brokers) as log:
            await check_rights(settings, brokers, rights_of_list(settings))
            ends = await log.ends()
            progress = await log.progress(ends)
            async for chunk in log.chunks(dict.fromkeys(ends, 0), ends):
                for record in chunk:
                    ours = read_deadletter_headers(record.headers)
                    if where.matches(record, ours) and (not reasons or (ours and ours.reason in reasons)):
                        yield _describe(record, ours, progress[partition_of(record)], settings.max_redrives)


def partition_of(record: Any) -> TopicPartition:
    """Where the dead letter itself is."""
    return TopicPartition(record.topic, record.partition)


def status_of(record: Any, ours: DeadLetterHeaders, progress: Progress, max_redrives: int) -> Status:
    """Whether a redrive would send the dead letter, or why not. A cut record is not its original, and is never sent."""
    if ours.cut_from != "0":
        return "cut"
    if int(ours.redriven) >= max_redrives:
        return "given_up"
    return "redriven" if is_redriven(progress, ours.reason, record.offset) else "pending"


def _describe(record: Any, ours: DeadLetterHeaders | None, progress: Progress, max_redrives: int) -> DeadLetter:
    status: Status = status_of(record, ours, progress, max_redrives) if ours else "foreign"
    source = Source(ours.topic, int(ours.partition), int(ours.offset), format_time(time_ms(ours))) if ours else None
    return DeadLetter(
        id=f"{record.topic}-{record.partition}-{record.offset}",
        time=format_time(record.timestamp),
        reason=ours.reason if ours else None,
        error=ours.error if ours else "no worker wrote this record",
        source=source,
        key=None if record.key is None else record.key.decode(errors="backslashreplace"),
        num_bytes=len(record.value or b""),
        num_redriven=int(ours.redriven) if ours else 0,
        pending=status == "pending",
        status=status,
    )


def time_ms(ours: DeadLetterHeaders) -> int:
    """The time of the original, in milliseconds."""
    return (ours.time - EPOCH) // MILLISECOND
