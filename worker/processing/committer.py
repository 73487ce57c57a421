"""Step 5 of a micro-batch, its commit, and step 10: the group's offset behind what holds no records."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from worker.kafka.group_offsets import GoneError
from worker.kafka.producer import FencedError, TooLargeError
from worker.kafka.progress import Said, progress_header, with_header
from worker.kafka.transport.microbatch import Pacing, Records
from worker.monitoring.observers import Observers
from worker.monitoring.tracing.tracing import BatchTrace
from worker.ownership.checkpointer import Checkpointer
from worker.ownership.manager import PartitionManager
from worker.ownership.partition import Partition
from worker.process import die
from worker.processing.slices import Slice
from worker.processing.too_large import TooLargeReplacer
from worker.records.codec import age_ms, has_timestamp
from worker.records.types import OutputRecord, TopicPartition
from worker.settings import Settings


class RecordSource(Protocol):
    """Where the records come from."""

    pacing: Pacing

    def done(self, records: Records) -> None:
        """These records are over, one way or another: there is room for as many."""

    async def reseek(self) -> None:
        """Go to the manager's positions; what was fetched before and not taken is dropped, and fetched again."""

    def idle_positions(self) -> Mapping[TopicPartition, int]:
        """Where the consumer stands in partitions of which nothing is in flight."""


class Committer:
    """Publishes what was scored and commits its offsets, then makes the new states those of the partitions."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of the worker, each made by the app
        self,
        settings: Settings,
        replacer: TooLargeReplacer,
        source: RecordSource,
        manager: PartitionManager,
        checkpointer: Checkpointer,
        observers: Observers,
    ) -> None:
        self._settings = settings
        self._replacer = replacer
        self._source = source
        self._manager = manager
        self._checkpointer = checkpointer
        self._metrics = observers.metrics
        self._health = observers.health
        self._crash = observers.crash_points.reach
        # Without transactions an output may be there and the offset not.
        self._says_progress = settings.delivery == "exactly_once"
        self._last_timestamp_ms: float | None = None

    @property
    def last_timestamp_ms(self) -> float | None:
        """The timestamp of the last record that is done; None before the first."""
        return self._last_timestamp_ms

    async def commit(self, slices: list[Slice], records: Records, trace: BatchTrace) -> None:
        """Step 5. An error other than a refusal leaves a commit undecided: the process ends and takes over again."""
        began_s = time.monotonic()
        self._source.pacing.commit_began(began_s)
        try:
            with self._metrics.stage("commit"):
                await self._commit(slices, trace)
        except BaseException as error:
            die(error)
        ended_s = time.monotonic()
        self._source.pacing.commit_ended(ended_s, ended_s - began_s)
        self._health.progress()
        self._source.done(records)

    async def _commit(self, slices: list[Slice], trace: BatchTrace) -> None:
        new = [work for work in slices if work.next_offset > work.partition.committed]
        if new:
            offsets = {work.partition: work.next_offset for work in new}
            await self._publish(offsets, new)
            self._crash("committed")
        if len(new) < len(slices):
            self._crash("replayed")
        done = [work for work in slices if work.partition.owned]
        for work in done:
            self._count(work, trace)
            work.partition.apply(work.changed, work.next_offset)
        trace.end([work.partition.tp for work in done])
        self._crash("applied")
        if self._settings.flush_interval_s == 0:
            await self._checkpointer.flush_all([work.partition for work in done])
        for work in done:
            await self._checkpointer.flush_down(work.partition)

    async def _publish(self, offsets: Mapping[Partition, int], slices: Sequence[Slice]) -> None:
        """In one transaction, what is still owned of `offsets` and the outputs of `slices`.

        Partitions that are refused are dropped. What is too large for its topic is replaced, and all is sent again.
        """
        while owned := {partition: offset for partition, offset in offsets.items() if partition.owned}:
            outputs: dict[TopicPartition, Sequence[OutputRecord]] = {
                work.partition.tp: work.outputs for work in slices if work.partition in owned
            }
            saying = {one for one in owned if self._says_progress and self._is_told(outputs.get(one.tp, ()))}
            outputs |= {one.tp: self._with_progress(one, owned[one], outputs[one.tp]) for one in saying}
            try:
                publisher = next(iter(owned)).publisher
                await publisher.publish(
                    outputs,
                    {one.tp: one.group_offset_at(to, with_progress=one in saying) for one, to in owned.items()},
                )
            except GoneError as error:
                self._manager.on_gone(error.tps)
            except FencedError as error:
                self._manager.on_refused(error, "kafka")
            except TooLargeError as error:
                for work in slices:
                    self._replacer.replace(work, error)
            else:
                for partition in saying:
                    partition.progress_published()
                return

    def _is_told(self, outputs: Sequence[OutputRecord]) -> bool:
        """Whether an event or a dead letter is among the outputs."""
        return any(output.topic in self._settings.outcome_topics for output in outputs)

    def _with_progress(
        self, partition: Partition, offset: int, outputs: Sequence[OutputRecord]
    ) -> Sequence[OutputRecord]:
        said = Said(self._settings.group, partition.tp, partition.topic.topic_id, partition.progress_at(offset))
        return with_header(outputs, self._settings.outcome_topics, progress_header(said))

    async def skip(self) -> None:
        """Step 10, while no commit is under way: where nothing is left to do, move C behind what holds no records.

        Transaction markers of producers upstream lie there, and whatever a log that was cut does not hold any more.
        After a broker was away, the same offsets are committed again, so that markers that it lost are written.
        """
        offsets = {
            partition: position
            for tp, position in self._source.idle_positions().items()
            if (partition := self._manager.partitions.get(tp)) is not None and partition.is_done_at(position)
        }
        behind = {one: to for one, to in offsets.items() if to > one.applied or one.offset_is_behind}
        again = behind or {
            one: one.committed for one in self._manager.partitions.values() if one.publisher.is_disturbed
        }
        try:
            await self._publish(again, [])
        except BaseException as error:
            die(error)
        for partition, offset in behind.items():
            if partition.owned:
                partition.skip_to(offset)

    def _count(self, work: Slice, trace: BatchTrace) -> None:
        """Into the metrics, what this slice did."""
        metrics, topic = self._metrics, work.partition.tp.topic
        now_ms = time.time() * 1000
        new = [item for item in work.items if not work.is_replayed(item)]
        scored = [(item, item.result) for item in new if item.result is not None]
        metrics.committed(
            topic,
            [result for _, result in scored],
            [(now_ms - at_ms) / 1000 for item, _ in scored if has_timestamp(at_ms := item.record.timestamp)],
            trace.exemplars((item.record for item, _ in scored), now_ms),
        )
        metrics.fallbacks([one for item, _ in scored if item.text is not None for one in item.text.fallbacks])
        self._last_timestamp_ms = now_ms - age_ms(work.items[-1].record.timestamp, now_ms)
        metrics.dead_letters(topic, [item.error.reason for item in new if item.error is not None])
        metrics.erased(topic, sum(item.erases for item in new))
        metrics.skipped(topic, sum(item.is_skipped for item in new))
        metrics.shifts(work.num_shifts)
        metrics.rebuilt(len(work.items) - len(new))
        for reason in work.resets:
            metrics.state_reset(reason)
