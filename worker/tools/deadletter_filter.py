"""Chooses dead letters by where they came from, their stream and the time at which they were written."""

from __future__ import annotations

from typing import Any, NamedTuple

from worker.records.types import DeadLetterHeaders


class Where(NamedTuple):
    """Which dead letters; a None chooses all. since_ms is included, until_ms is not."""

    topic: str | None = None
    stream: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None

    def matches(self, record: Any, ours: DeadLetterHeaders | None) -> bool:
        """Whether the dead letter is one of these. Its stream is the one that its key names."""
        return (
            (self.topic is None or (ours is not None and ours.topic == self.topic))
            and (self.stream is None or record.key == self.stream.encode())
            and (self.since_ms is None or record.timestamp >= self.since_ms)
            and (self.until_ms is None or record.timestamp < self.until_ms)
        )


EVERYWHERE = Where()
