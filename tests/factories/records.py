"""Records as the consumer delivers them, and the events that come of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from msgspec import structs

from worker.records.types import (
    EventModel,
    EventMood,
    EventState,
    EventWord,
    MoodLevel,
    Probabilities,
    SentimentEvent,
    ShiftEvent,
    ShiftEvidence,
    Source,
    TopicPartition,
)

DAY_MS = 86_400_000
START_MS = 1_700_000_000_000
TWEETS = TopicPartition("tweets", 0)


@dataclass
class Record:
    """The fields of aiokafka's ConsumerRecord that the worker reads."""

    offset: int
    key: bytes | None
    value: bytes | None
    topic: str = "tweets"
    partition: int = 0
    timestamp: int = START_MS
    headers: list[tuple[str, bytes]] = field(default_factory=list)


def text_record(offset: int, stream: str, text: str, **fields: Any) -> Record:
    """A record whose event time is `offset` seconds after START_MS, unless `time` is among `fields`."""
    fields = {"text": text, "time": (START_MS + 1000 * offset) / 1000} | fields
    return Record(offset, stream.encode(), json.dumps(fields).encode())


def erasure(offset: int, stream: str) -> Record:
    """A record with a null value, which erases its stream."""
    return Record(offset, stream.encode(), None)


SOURCE = Source("tweets", 1, 42, "2026-11-21T05:00:00.000Z")


def new_event(**changes: Any) -> SentimentEvent:
    """A positive event of the stream @acme."""
    event = SentimentEvent(
        id="tweets-1-42",
        stream="@acme",
        record_id="7",
        source=SOURCE,
        label="positive",
        probabilities=Probabilities(0.05, 0.15, 0.8),
        score=0.75,
        confidence=0.8,
        words=[EventWord("great", 0, 5, 0.6)],
        mood=EventMood(0.4, 0.5, 12),
        state=EventState(12, None),
        model=EventModel("default", "0123456789abcdef"),
        final=True,
        latency_ms=3.5,
    )
    return structs.replace(event, **changes)


def new_shift(**changes: Any) -> ShiftEvent:
    """The stream @acme turned from positive to negative."""
    shift = ShiftEvent(
        id="tweets-1-42",
        stream="@acme",
        from_level=MoodLevel("positive", 0.6),
        to_level=MoodLevel("negative", -0.5),
        since="2026-11-21T04:00:00.000Z",
        source=SOURCE,
        evidence=ShiftEvidence("self_starting_cusum", 20.0, 17.0, 12),
    )
    return structs.replace(shift, **changes)


class _OddName(str):
    """A name that a producer in another language writes as these bytes."""

    data = b""

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return self.data


def odd_name(data: bytes) -> str:
    """The name of a header that is these bytes on the wire, UTF-8 or not."""
    name = _OddName("odd")
    name.data = data
    return name
