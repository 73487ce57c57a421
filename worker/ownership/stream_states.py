"""The states of a partition's streams in memory: those that stand, those being committed, those not yet in Redis."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from itertools import islice

from worker.state.entry import StreamEntry

Entries = dict[str, StreamEntry | None]
"""Stream -> its entry; None: the stream is known to have none."""


class StreamStates:
    """The states of streams, the least recently changed first. complete: whether none is missing from the beginning."""

    def __init__(self, *, complete: bool) -> None:
        self._complete = complete
        self._states: OrderedDict[str, StreamEntry | None] = OrderedDict()
        self._pending: Entries = {}
        self._dirty: Entries = {}

    @property
    def complete(self) -> bool:
        """Whether memory holds every state of the partition."""
        return self._complete

    @property
    def num_dirty(self) -> int:
        """States in memory that Redis does not have yet."""
        return len(self._dirty)

    @property
    def num_cached(self) -> int:
        """States in memory."""
        return len(self._states)

    def knows(self, stream: str) -> bool:
        """Whether the stream's state is in memory, its absence included."""
        return self._complete or stream in self._pending or stream in self._states

    def entry(self, stream: str) -> StreamEntry | None:
        """The latest state of a known stream, whether its commit is over or under way."""
        return self._pending[stream] if stream in self._pending else self._states.get(stream)

    def remember(self, found: Iterable[tuple[str, StreamEntry | None]]) -> None:
        """Keep what Redis answered for streams that were not known."""
        self._states.update(found)

    def stage(self, changed: Mapping[str, StreamEntry | None]) -> None:
        """Show `changed` to the next micro-batch while the commit of their records is under way."""
        self._pending.update(changed)

    def evict(self, max_streams: int) -> None:
        """Over `max_streams`, forget the least recently used tenth; what Redis does not have yet stays."""
        if len(self._states) <= max_streams:
            return
        num_victims = len(self._states) - max_streams + max_streams // 10
        flushed = (s for s in self._states if s not in self._dirty and s not in self._pending)
        for stream in list(islice(flushed, num_victims)):
            del self._states[stream]
            self._complete = False

    def _keep(self, changed: Mapping[str, StreamEntry | None]) -> None:
        """Make `changed` the states that stand; Redis does not have them yet."""
        for stream, entry in changed.items():
            if self._pending.get(stream) is entry:
                self._pending.pop(stream, None)
            self._states[stream] = entry
            self._states.move_to_end(stream)
        self._dirty.update(changed)

    def _clean(self, entries: Mapping[str, StreamEntry | None]) -> None:
        """Redis has `entries`; what has changed since remains dirty."""
        for stream, entry in entries.items():
            if self._dirty.get(stream) is entry:
                self._dirty.pop(stream, None)

    def _forget(self, *, complete: bool) -> None:
        """Forget every state."""
        self._states.clear()
        self._pending.clear()
        self._dirty.clear()
        self._complete = complete
