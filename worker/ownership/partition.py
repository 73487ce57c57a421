"""An owned partition: where it stands in Kafka and in Redis, and the states of its streams.

Four offsets, each the next one that is not yet ...
    taken       taken by the pipeline
    applied     in the states in memory
    committed   published: the group's offset, C
    position    in the states in Redis, P

At all times position <= applied <= taken and applied <= committed; applied < committed while states are rebuilt.
Nobody but the partition moves them, and it checks that they may move.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from worker.kafka.group_offsets import GroupOffset
from worker.kafka.progress import Progress
from worker.ownership.lineage import has_moved, lineage_reset
from worker.ownership.publisher import Publisher
from worker.ownership.stream_states import Entries, StreamStates
from worker.records.types import ResetReason, TopicPartition
from worker.state.claims import Fence, TopicInfo
from worker.state.entry import StreamEntry


class Snapshot(NamedTuple):
    """What one flush writes: entries, the position that they stand for, and the fence that must stand in Redis.

    num_resets: how often the group's offset had gone back by then; None for a shadow's states, whose group is another
    than that of the workers who may go on with them.
    """

    fence: Fence
    entries: Entries
    position: int
    num_resets: int | None


class Partition(StreamStates):
    """One partition while this worker owns it. Only the event loop touches it.

    redis_lock: held around a request to Redis and the change that follows from its answer, so that no read sees a
    flush half known: done in Redis, its position not yet here.
    """

    def __init__(  # noqa: PLR0913 - where a partition stands has that many parts
        self,
        tp: TopicPartition,
        publisher: Publisher,
        fence: Fence,
        *,
        start: int,
        committed: int,
        topic: TopicInfo,
        num_partitions_before: int | None = None,
        group_offset: int | None = None,
        published: Progress | None = None,
        is_shadow: bool = False,
        is_cut: bool = False,
    ) -> None:
        """`start` is the first offset to read. Without a position in `fence`, memory starts complete and empty.

        num_partitions_before: of the topic, when its states began. group_offset: what the group has committed.
        published: what the last output of the partition says of it. is_cut: whether the group had come further than
        `committed`, where there is nothing any more.
        """
        super().__init__(complete=fence.position is None)
        self.tp = tp
        self.publisher = publisher
        self.topic = topic
        self.redis_lock = asyncio.Lock()
        self._num_partitions_before = num_partitions_before or topic.num_partitions
        self._group_offset = group_offset
        self._fence = fence
        self._taken = self._applied = start
        self._committed = committed
        self._num_resets = published.num_resets if published is not None else 0
        self._is_shadow = is_shadow
        self._went_back = False
        if is_cut or (published is not None and committed < published.offset):
            self._go_back()
        self._owned = True
        self._lost = False
        self._check_order()

    def __str__(self) -> str:
        return f"{self.tp.topic}-{self.tp.partition}"

    @property
    def taken(self) -> int:
        """The next offset that the pipeline has not taken."""
        return self._taken

    @property
    def applied(self) -> int:
        """The next offset whose record is not in the states in memory."""
        return self._applied

    @property
    def committed(self) -> int:
        """C: the next offset whose record is not published."""
        return self._committed

    @property
    def position(self) -> int | None:
        """P: the next offset whose record is not in the states in Redis; None before the first flush of a lineage."""
        return self._fence.position

    @property
    def fence(self) -> Fence:
        """What this worker last wrote to Redis."""
        return self._fence

    @property
    def owned(self) -> bool:
        """Whether this worker may still publish and flush for the partition."""
        return self._owned

    @property
    def lost(self) -> bool:
        """Whether a flush found that Redis lost the states, and they are not written again yet."""
        return self._lost

    def first_seen_reset(self, key: bytes | None) -> ResetReason | None:
        """Why a stream that has no state here may have had one: of its lineage, or, by its record's key, elsewhere."""
        moved = has_moved(key, self.tp.partition, self._num_partitions_before, self.topic)
        return lineage_reset(self._fence.lineage) or (ResetReason.MOVED if moved else None)

    @property
    def is_flushed(self) -> bool:
        """Whether Redis has all that memory has."""
        return not self._dirty and self.position == self._applied

    def is_done_at(self, position: int) -> bool:
        """Whether it is owned and nothing is left to do, if nothing is in flight and the consumer reads next there.

        What lies between the last record applied and C may be markers alone, at the end of a rebuild too.
        """
        return self._owned and self._applied == self._taken and self._committed <= position

    @property
    def offset_is_behind(self) -> bool:
        """Whether the group's offset is another than what is done here, as after a log that was cut or began again."""
        return self._committed != self._group_offset

    @property
    def num_resets(self) -> int | None:
        """See Snapshot."""
        return None if self._is_shadow else self._num_resets

    def group_offset_at(self, offset: int, *, with_progress: bool) -> GroupOffset:
        """`offset` as it is committed, with an output that says so or without one.

        Where C went back, by hand or since the log was cut, the last output says that the group is further than it is.
        So until there is a new one, offsets are committed as by hand, without the topic's id: those stand (see
        published.py).
        """
        return GroupOffset(offset, self.topic.topic_id if with_progress or not self._went_back else "")

    def progress_at(self, offset: int) -> Progress:
        """What an output says that is committed with `offset`."""
        return Progress(self._num_resets, offset)

    def _go_back(self) -> None:
        self._num_resets += not self._went_back
        self._went_back = True

    def _check_order(self) -> None:
        offsets = f"{self}: position {self.position}, applied {self._applied}, taken {self._taken}"
        assert (self.position or 0) <= self._applied <= self._taken, offsets
        assert self._applied <= self._committed, f"{offsets}, committed {self._committed}"

    # records and their states, in the order of the numbered steps

    def take(self, records: Iterable[Any]) -> list[Any]:
        """The records that were not taken before, which are taken now; a fetch may cross a seek and repeat some."""
        new = [record for record in records if record.offset >= self._taken]
        if new:
            self._taken = new[-1].offset + 1
        return new

    def progress_published(self) -> None:
        """The last output says how far the group has come."""
        self._went_back = False

    def apply(self, changed: Mapping[str, StreamEntry | None], offset: int) -> None:
        """Make `changed` the states at `offset`, once their records are committed, now or before (a rebuild)."""
        assert self._applied <= offset, f"{self}: applied {self._applied} would go back to {offset}"
        self._keep(changed)
        self._applied = offset
        if offset > self._committed:
            self._committed = self._group_offset = offset
        self._check_order()

    def skip_to(self, offset: int) -> None:
        """Pass over what holds no records, up to `offset`, which is now the group's (10). Only while idle."""
        assert self.is_done_at(offset), f"{self}: records are left before {offset}"
        self._taken = self._applied = self._committed = self._group_offset = offset
        self._check_order()

    # Redis

    def snapshot(self) -> Snapshot:
        """What a flush has to write now."""
        return Snapshot(self._fence, dict(self._dirty), self._applied, self.num_resets)

    def flushed(self, snapshot: Snapshot) -> None:
        """Redis has taken `snapshot`; entries that changed since remain dirty."""
        assert snapshot.fence == self._fence, f"{self}: flushed under {snapshot.fence}, not under {self._fence}"
        self._fence = self._fence._replace(position=snapshot.position)
        self._clean(snapshot.entries)
        self._check_order()

    def mark_lost(self) -> None:
        """Redis holds something else than what was last written: nothing is flushed until that is mended."""
        self._lost = True

    def renew(self, owner: str) -> None:
        """Another claim of this worker stands in Redis now, and all else as before."""
        self._fence = self._fence._replace(owner=owner)
        self._lost = False

    def rewrite(self, fence: Fence) -> None:
        """Under a new lineage, Redis has nothing: make every state in memory, which must be complete, dirty again."""
        assert self._complete, f"{self}: states that are not in memory cannot be written again"
        self._fence = fence
        self._lost = False
        self._dirty.update(self._states)

    def reset(self, fence: Fence, start: int, committed: int) -> None:
        """Forget every state and go back to `start`; what is below `committed` will be applied without publishing."""
        self._forget(complete=fence.position is None)
        self._fence = fence
        self._lost = False
        self._taken = self._applied = start
        if committed < self._committed:
            self._go_back()
        self._committed = committed
        self._check_order()

    def drop(self) -> None:
        """Another worker may own the partition: nothing of it is published or flushed from here on."""
        self._owned = False
