"""Which partitions this worker owns: taken at an assignment, dropped when refused, all given up at a revocation."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Iterable, Mapping

from worker.errors import DependencyError, SentimentError
from worker.kafka.group import Group
from worker.kafka.producer import FencedError
from worker.kafka.protocol.offsets import NO_MEMBER, Membership
from worker.kafka.transport.assignment import Assignment
from worker.monitoring.observers import Observers
from worker.monitoring.series import FencedBy
from worker.ownership.checkpointer import Checkpointer
from worker.ownership.leader import Leader
from worker.ownership.partition import Partition
from worker.ownership.processing_lock import ProcessingLock
from worker.ownership.publisher import Publisher
from worker.ownership.takeover import TakeOver
from worker.process import die
from worker.records.types import TopicPartition
from worker.settings import Settings

logger = logging.getLogger(__name__)


class PartitionManager:
    """The owned partitions; the consumer's PartitionHandler."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of the worker, each made by the app
        self,
        settings: Settings,
        group: Group,
        new_publisher: Callable[[Membership], Publisher],
        takeover: TakeOver,
        checkpointer: Checkpointer,
        lock: ProcessingLock,
        observers: Observers,
        leader: Leader | None = None,
    ) -> None:
        """`leader`: the group that this worker, a shadow, follows."""
        self._settings = settings
        self._group = group
        self._leader = leader
        self._crash = observers.crash_points.reach
        self._new_publisher = new_publisher
        self._takeover = takeover
        self._checkpointer = checkpointer
        self._lock = lock
        self._metrics = observers.metrics
        self._health = observers.health
        self._assignment: Assignment | None = None
        self._last_membership = NO_MEMBER
        self._publisher: Publisher | None = None
        self._taking: asyncio.Task[None] | None = None
        self._expelled_timer: asyncio.TimerHandle | None = None
        self._partitions: dict[TopicPartition, Partition] = {}

    @property
    def partitions(self) -> Mapping[TopicPartition, Partition]:
        """What was taken over of what the group has assigned here, dropped partitions included."""
        return self._partitions

    def positions(self) -> Mapping[TopicPartition, int]:
        """See PartitionHandler."""
        return {tp: partition.taken for tp, partition in self._partitions.items() if partition.owned}

    def bound(self, tp: TopicPartition) -> int | None:
        """See PartitionHandler."""
        partition = self._partitions.get(tp)
        if self._leader is None or partition is None or not partition.owned:
            return None
        return self._leader.bound(partition)

    def on_assigned(self, assignment: Assignment) -> None:
        """Step 7, beside the heartbeats; see PartitionHandler. An error in it ends the process."""
        self._assignment = assignment
        self._metrics.rebalanced()
        if self._expelled_timer is not None:
            self._expelled_timer.cancel()
        self._take(assignment.tps, renew=True)

    async def taken_over(self) -> None:
        """Wait for the take-over under way, if any."""
        while self._taking is not None and not self._taking.done():
            await asyncio.wait([self._taking])

    def _take(self, tps: Collection[TopicPartition], *, renew: bool) -> None:
        """Take partitions over; `renew`: with a new publisher."""
        assert self._assignment is not None, "nothing is assigned"
        self._taking = asyncio.create_task(self._take_or_die(self._assignment, tps, renew=renew))

    async def _take_or_die(self, assignment: Assignment, tps: Collection[TopicPartition], *, renew: bool) -> None:
        try:
            # What is under way may still move the group's offsets, in this worker's own name.
            async with self._lock:
                await self._lock.settled()
            if renew or self._publisher is None:
                self._publisher = self._new_publisher(assignment.membership)
                await self._publisher.start()
                self._crash("fenced")
            if not tps:
                self._health.assigned(0)
            async for taken in self._takeover.take_over(tps, self._publisher):
                await self._install(assignment, taken)
        except FencedError as error:
            self._on_expelled(error, "kafka")
        except Exception as error:
            die(error)

    async def _install(self, assignment: Assignment, taken: Mapping[TopicPartition, Partition]) -> None:
        """No micro-batch is under way when partitions come, or come again."""
        async with self._lock:
            await self._lock.settled()
            self._partitions |= taken
            await assignment.reseek()
            self._lock.assign()
        self._health.assigned(len(self._partitions))
        self._metrics.owned(len(self._partitions))
        for tp, partition in taken.items():
            extra = {"action": "take_over", "topic": tp.topic, "partition": tp.partition, "offset": partition.taken}
            logger.info("%s: owned from offset %d on", partition, partition.taken, extra=extra)

    async def on_revoked(self) -> None:
        """Finish what is in flight, flush, let go. Work that does not end in time ends the process instead."""
        if self._assignment is not None:
            self._last_membership = self._assignment.membership
        self._assignment = None
        self._lock.revoke()
        self._health.assigned(None)
        bound_s = self._settings.revoke_timeout_s
        try:
            async with asyncio.timeout(bound_s):
                await self._stop_taking()
                async with self._lock:
                    await self._lock.settled()
        except TimeoutError:
            die(SentimentError(f"work in flight took longer than revoke_timeout_s ({bound_s:g})"))
        partitions, self._partitions = self._partitions, {}
        self._metrics.owned(0)
        with contextlib.suppress(TimeoutError):
            # The next owner computes again what is not flushed in time.
            async with asyncio.timeout(bound_s / 2):
                await asyncio.gather(*(self._checkpointer.flush(partition) for partition in partitions.values()))

    async def on_rejoining(self) -> None:
        """See PartitionHandler. A static member whose place another process has taken would take it back: it ends."""
        with contextlib.suppress(DependencyError):
            if await self._group.is_replaced(self._last_membership):
                name = self._settings.instance_id
                die(SentimentError(f"another worker has taken the place of instance_id {name!r} in the group"))

    async def _stop_taking(self) -> None:
        taking, self._taking = self._taking, None
        if taking is not None:
            taking.cancel()
            await asyncio.wait([taking])

    def on_refused(self, error: FencedError, fenced_by: FencedBy) -> None:
        """Nothing more is accepted of this assignment: drop every partition, and ask the group whether it is over.

        A transaction that took too long ends no membership: then the partitions are taken over again.
        """
        self._drop(self._partitions, fenced_by)
        self._health.assigned(None)
        if self._taking is not None:
            # It goes on with the publisher that was refused.
            self._taking.cancel()
        self._taking = asyncio.create_task(self._ask_group(error, fenced_by))

    def on_gone(self, tps: Iterable[TopicPartition]) -> None:
        """The topics of these partitions were deleted; when they are created again, `look_at_topics` finds that."""
        for tp in tps:
            self._partitions[tp].drop()
            extra = {"action": "topic_gone", "topic": tp.topic, "partition": tp.partition}
            logger.warning("%s-%d: the topic does not exist any more", *tp, extra=extra)

    async def _ask_group(self, error: FencedError, fenced_by: FencedBy) -> None:
        assignment = self._assignment
        if assignment is None:
            return
        try:
            is_member = await self._group.is_member(assignment.membership)
        except Exception as away:
            die(away)
        if is_member:
            await self._take_or_die(assignment, assignment.tps, renew=True)
        else:
            self._on_expelled(error, fenced_by)

    def _on_expelled(self, error: FencedError, fenced_by: FencedBy) -> None:
        """The group goes on without us: it assigns partitions again once it has noticed that we are there."""
        self._drop(self._partitions, fenced_by)
        self._health.assigned(None)
        message = f"the group does not count on this worker any more: {error}"
        logger.warning(message, extra={"action": "expelled"})
        if self._settings.instance_id is not None:
            die(SentimentError(f"{message}. Two workers may share instance_id {self._settings.instance_id!r}"))
        self._assignment = None
        bound_s = self._settings.session_timeout_s + self._settings.rebalance_timeout_s
        idle = SentimentError(f"{message}. For {bound_s:g} s it has assigned nothing again: starting over")
        self._expelled_timer = asyncio.get_running_loop().call_later(bound_s, die, idle)

    def _drop(self, tps: Iterable[TopicPartition], fenced_by: FencedBy) -> None:
        for tp in tps:
            partition = self._partitions[tp]
            if partition.owned:
                partition.drop()
                self._metrics.fenced(fenced_by)
                message = f"{partition}: fenced in {fenced_by}, another worker may own the partition"
                logger.warning(message, extra={"action": "fenced", "topic": tp.topic, "partition": tp.partition})

    def on_out_of_range(self, tps: Collection[TopicPartition]) -> None:
        """See PartitionHandler: the log was cut, or is another one."""
        self._take_again({tp for tp in tps if tp in self._partitions and self._partitions[tp].owned})

    def look_at_topics(self, topic_ids: Mapping[str, str]) -> None:
        """Take over again what belongs to another topic of the same name. `topic_ids`: those that exist now."""
        if self._assignment is not None:
            self._take_again({tp for tp in self._assignment.tps if self._has_changed(tp, topic_ids)})

    def _has_changed(self, tp: TopicPartition, topic_ids: Mapping[str, str]) -> bool:
        if tp.topic not in topic_ids:
            return False
        partition = self._partitions.get(tp)
        return partition is None or not partition.owned or partition.topic.topic_id != topic_ids[tp.topic]

    def _take_again(self, tps: Collection[TopicPartition]) -> None:
        """Unless a take-over is under way: whoever asks will ask again."""
        is_taking = self._taking is not None and not self._taking.done()
        if is_taking or self._assignment is None or not tps:
            return
        for tp in self._partitions.keys() & set(tps):
            self._partitions[tp].drop()
        self._take(tps, renew=False)
