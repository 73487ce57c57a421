"""Sends dead letters back to where they came from, each exactly once.

A redrive reads every dead-letter partition, from the end of the previous redrive to the partition's end at the start of
this one. For each chunk (after the colon: what a crash at this step leaves behind):

1. Read committed dead letters, and choose those that are asked for: nothing has changed.
2. Send the originals to their topic and partition, with key, value, timestamp and headers: the transaction aborts.
3. Commit the progress of each reason in the same transaction: both are committed, or neither is.

Each reason has its own progress, and what a filter chose beyond it is noted singly (deadletter_log.py). The
transactional id fences a redrive that is still running when another one starts; the later one reads the progress after
it has fenced the earlier one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from worker.errors import Reason, SentimentError, TopicsError
from worker.kafka.access.rights import Rights, check_rights
from worker.kafka.brokers import Brokers
from worker.kafka.producer import FencedError, ProducerRecord
from worker.kafka.transaction import TransactionalProducer
from worker.process import CrashPoints
from worker.records.headers import read_deadletter_headers, redriven_headers
from worker.records.types import DeadLetterHeaders, TopicPartition
from worker.settings import Settings
from worker.tools.deadletter_filter import EVERYWHERE, Where
from worker.tools.deadletter_log import (
    DeadLetterLog,
    Progress,
    kafka_errors_translated,
    redrive_group,
    with_runs,
    write_progress,
)
from worker.tools.deadletters import partition_of, status_of, time_ms

Letter = tuple[Any, DeadLetterHeaders]


class RedriveSummary(NamedTuple):
    """The number of originals sent back, and of records that no worker wrote, which a redrive leaves alone."""

    num_redriven: int
    num_foreign: int


def rights_of_redrive(settings: Settings) -> Rights:
    """What `deadletters redrive` does."""
    group = redrive_group(settings)
    return Rights(
        reads=(settings.deadletters_topic,), writes=settings.topics, group=group, commits=True, transactional_id=group
    )


async def redrive(  # noqa: PLR0913 - what the command line may say
    settings: Settings,
    reasons: Collection[Reason] = (),
    where: Where = EVERYWHERE,
    *,
    number: int | None = None,
    dry_run: bool = False,
    on_read: Callable[[int, int], None] = lambda number, total: None,
) -> RedriveSummary:
    """Send the originals of the pending dead letters of `reasons` (of all, if empty) and `where` back.

    number: the most to send. dry_run: only count them. on_read: called with the offsets read since the last
    call, and with all. Raises TopicsError when a source partition no longer exists, SentimentError when another redrive
    has taken over or the filter leaves too many gaps, DependencyError when Kafka does not answer, UndecidedCommitError
    when the outcome of a commit is unknown. After any of these, another call
    continues where this one stopped.
    """
    choice = _Choice(frozenset(reasons or Reason), where, settings.max_redrives)
    left = sys.maxsize if number is None else number
    num_redriven = num_foreign = 0
    with kafka_errors_translated(settings):
        async with Brokers(settings) as brokers, DeadLetterLog(settings, brokers) as log:
            await check_rights(settings, brokers, rights_of_redrive(settings))
            redriver = _Redriver(settings, brokers)
            if not dry_run:
                await redriver.start()
            ends = await log.ends()
            progress = await log.progress(ends)
            starts = {tp: min(progress[tp][reason] for reason in choice.reasons) for tp in ends}
            reached, total = dict(starts), sum(ends.values()) - sum(starts.values())
            async for chunk in log.chunks(starts, ends):
                tp = partition_of(chunk[-1])
                on_read(chunk[-1].offset + 1 - reached[tp], total)
                reached[tp] = chunk[-1].offset + 1
                due, progress[tp], foreign = choice.take(chunk, progress[tp], left)
                if due and not dry_run:
                    await redriver.send_back(due, tp, progress[tp])
                num_redriven += len(due)
                num_foreign += foreign
                left -= len(due)
                if left <= 0:
                    break
    return RedriveSummary(num_redriven, num_foreign)


class _Choice(NamedTuple):
    """Which dead letters a redrive sends."""

    reasons: frozenset[Reason]
    where: Where
    max_redrives: int

    def take(self, chunk: list[Any], progress: Progress, number: int) -> tuple[list[Letter], Progress, int]:
        """The dead letters to send, `number` at most, the progress with them, and how many no worker wrote."""
        due: list[Letter] = []
        settled: list[tuple[int, bool]] = []
        num_foreign = reached = 0
        for record in chunk:
            if len(due) == number:
                break
            reached = record.offset + 1
            ours = read_deadletter_headers(record.headers)
            num_foreign += ours is None
            status = "foreign" if ours is None else status_of(record, ours, progress, self.max_redrives)
            if ours and status == "pending" and ours.reason in self.reasons and self.where.matches(record, ours):
                due.append((record, ours))
                settled.append((record.offset, True))
            else:
                settled.append((record.offset, status in {"redriven", "cut", "foreign"}))
        if self.where == EVERYWHERE:
            moved = {reason: max(progress[reason], reached) for reason in self.reasons}
            return due, progress | moved, num_foreign
        return due, with_runs(progress, settled) if due else progress, num_foreign


class _Redriver:
    """Sends originals back, and commits the progress in the same transaction."""

    def __init__(self, settings: Settings, brokers: Brokers) -> None:
        self._group = redrive_group(settings)
        self._brokers = brokers
        self._producer = TransactionalProducer(settings, brokers, self._group, CrashPoints(settings.crash_at))

    async def start(self) -> None:
        """Fence a redrive that still runs and could still move the progress."""
        await self._producer.start()

    async def send_back(self, letters: list[Letter], tp: TopicPartition, progress: Progress) -> None:
        """Send the originals of `letters` and commit the `progress` of their partition `tp` in one transaction."""
        for source in {(ours.topic, int(ours.partition)) for _, ours in letters}:
            await self._check_source(*source)
        originals = (_original(record, ours) for record, ours in letters)
        try:
            await self._producer.commit(originals, {tp: write_progress(progress)}, self._group)
        except FencedError as error:
            raise SentimentError("another redrive of the same group has taken over") from error

    async def _check_source(self, topic: str, partition: int) -> None:
        if partition >= await self._brokers.num_partitions(topic):
            raise TopicsError(f"dead letters came from {topic}-{partition}, which no longer exists")


def _original(record: Any, ours: DeadLetterHeaders) -> ProducerRecord:
    return ProducerRecord(
        ours.topic,
        int(ours.partition),
        record.key,
        record.value,
        redriven_headers(record.headers, int(ours.redriven) + 1),
        time_ms(ours),
    )
