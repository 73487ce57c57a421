"""Chooses dead letters by where they came from, their stream and the time at which they were written."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from worker.records.codec import parse_time
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
            and (self.stream is None or record.key == os.fsencode(self.stream))
            and (self.since_ms is None or record.timestamp >= self.since_ms)
            and (self.until_ms is None or record.timestamp < self.until_ms)
        )


EVERYWHERE = Where()


def choose(topic: str | None, stream: str | None, since: str | None, until: str | None) -> Where:
    """The dead letters of a topic and stream between two times in RFC 3339. Raises ValueError."""
    try:
        since_ms, until_ms = (None if time is None else parse_time(time) for time in (since, until))
    except (ValueError, TypeError):
        raise ValueError("a time is written as 2026-11-21T05:00:00Z, with its zone") from None
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        raise ValueError("--since is not before --until")
    return Where(topic, stream, since_ms, until_ms)
