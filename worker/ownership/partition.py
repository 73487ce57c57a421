"""An owned partition: where it stands in Kafka and in Redis, and the states of its streams.

Four offsets, each the next one not yet ...   (position <= applied <= taken; applied < committed while rebuilding)
    taken       taken by the pipeline
    applied     in the states of the cache
    committed   published: the group's offset, C
    position    in the states in Redis, P
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from faust.types import TP

from worker.kafka.producer import Publisher
from worker.state.entry import StreamEntry


class Epoch(NamedTuple):
    """Number of an ownership, compared as a pair: Kafka's producer id and producer epoch of the transactional id."""

    producer_id: int
    producer_epoch: int


# ends the name of a lineage that was rebuilt from a log without its beginning
PARTIAL = "~"


@dataclass(slots=True)
class Partition:
    """One partition while this worker owns it. Only the event loop touches it."""

    tp: TP
    publisher: Publisher
    epoch: Epoch
    lineage: str
    taken: int
    applied: int
    committed: int
    position: int | None
    complete: bool
    owned: bool = True
    lost: bool = False
    states: OrderedDict[str, StreamEntry | None] = field(default_factory=OrderedDict)
    pending: dict[str, StreamEntry | None] = field(default_factory=dict)
    dirty: dict[str, StreamEntry | None] = field(default_factory=dict)
    # a read must not see a flush half known: done in Redis, its position not yet here
    redis_lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def unknown_past(self) -> bool:
        """Whether the states were rebuilt from a log whose beginning was gone: first-seen streams may have had one."""
        return self.lineage.endswith(PARTIAL)

    def knows(self, stream: str) -> bool:
        """Whether the stream's state is in memory, its absence included."""
        return self.complete or stream in self.pending or stream in self.states

    def entry(self, stream: str) -> StreamEntry | None:
        """The stream's latest state, those still being committed included; call it for streams that are known."""
        if stream in self.pending:
            return self.pending[stream]
        if stream in self.states:
            self.states.move_to_end(stream)
            return self.states[stream]
        return None

    def remember(self, found: Iterable[tuple[str, StreamEntry | None]]) -> None:
        """Take in what Redis answered for streams that were not known."""
        self.states.update(found)

    def apply(self, changed: dict[str, StreamEntry | None], offset: int) -> None:
        """Make `changed` the states at `offset`: their records are committed, or were before (a rebuild)."""
        for stream, entry in changed.items():
            if self.pending.get(stream) is entry:
                self.pending.pop(stream, None)
            self.states[stream] = entry
            self.states.move_to_end(stream)
        self.dirty.update(changed)
        self.applied = offset
        self.committed = max(self.committed, offset)

    def evict(self, max_streams: int) -> None:
        """Over `max_streams`, forget the least recently used tenth; what Redis does not have yet stays."""
        if len(self.states) <= max_streams:
            return
        num_victims = len(self.states) - max_streams + max_streams // 10
        flushed = (s for s in self.states if s not in self.dirty and s not in self.pending)
        for stream in list(islice(flushed, num_victims)):
            del self.states[stream]
            self.complete = False

    def restart(self, lineage: str, start: int) -> None:
        """Forget every state and go back to `start`; what is below `committed` will be applied without publishing."""
        self.states.clear()
        self.pending.clear()
        self.dirty.clear()
        self.lineage, self.position, self.complete, self.lost = lineage, None, True, False
        self.taken = self.applied = start
