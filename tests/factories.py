"""Objects that many tests need: records as the consumer delivers them, events, entries, partitions, fake servers.

A fake behaves like the real server as far as the unit tests need it; tests/integration and tests/system run the same
code on real servers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import structs

from model import ModelConfig, StreamState
from worker.monitoring.health import Health
from worker.monitoring.metrics import Metrics
from worker.ownership.partition import Partition
from worker.records.types import (
    EventModel,
    EventMood,
    EventState,
    EventWord,
    MoodLevel,
    OutputRecord,
    Probabilities,
    SentimentEvent,
    ShiftEvent,
    ShiftEvidence,
    Source,
    TopicPartition,
)
from worker.settings import load_settings
from worker.state.entry import StreamEntry
from worker.state.store import Claim, Epoch, Fence, Verdict

DAY_MS = 86_400_000
START_MS = 1_700_000_000_000
TWEETS = TopicPartition("tweets", 0)
FIRST_EPOCH = Epoch(5, 0)
CONFIG = ModelConfig(num_words=1, num_buckets=1, embedding_size=1, hidden_size=1, summary_size=1, stream_size=2)

# Records


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


# Events

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


# States and partitions


def new_entry(num_records: int = 1) -> StreamEntry:
    """A stream's entry with `num_records` records."""
    return StreamEntry(StreamState.empty(CONFIG), None, num_records, 0)


def new_partition(
    *,
    tp: TopicPartition = TWEETS,
    epoch: Epoch = FIRST_EPOCH,
    lineage: str = "5.0.1",
    position: int | None = None,
    start: int = 0,
    committed: int = 0,
    producer: Any = None,
    dropped: list[str] | None = None,
) -> Partition:
    """An owned partition; `dropped` collects the server that fenced it."""
    return Partition(
        tp,
        producer or FakeProducer(),
        Fence(epoch, lineage, position),
        start=start,
        committed=committed,
        on_dropped=lambda _, fenced_by: None if dropped is None else dropped.append(fenced_by),
    )


def take(partition: Partition, next_offset: int) -> None:
    """Make `partition` take every record below `next_offset`."""
    partition.take([Record(next_offset - 1, None, None)])


def new_observers(**flags: Any) -> tuple[Metrics, Health]:
    """The metrics and health of a worker with these settings."""
    settings = load_settings(**flags)
    metrics = Metrics(settings.topics)
    return metrics, Health(settings, metrics)


# Servers


class FakeProducer:
    """Keeps what is published, or raises `error` if it is set."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.published: list[tuple[list[OutputRecord], int]] = []
        self.stopped = False

    async def publish(self, outputs: Iterable[OutputRecord], next_offset: int) -> None:
        if self.error is not None:
            raise self.error
        self.published.append((list(outputs), next_offset))

    async def stop(self) -> None:
        self.stopped = True


class FakeStore:
    """A Redis with one partition. It gives `answers` first: a verdict, an error to raise, or None for the real one."""

    def __init__(self, *answers: Verdict | Exception | None) -> None:
        self.answers = list(answers)
        self.fence: Fence | None = None
        self.entries: dict[tuple[str, str], StreamEntry] = {}

    def _answer(self, fence: Fence) -> Verdict:
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            return answer
        if self.fence is None:
            self.fence = fence
        if self.fence.epoch > fence.epoch:
            return Verdict.FENCED
        return Verdict.OK if self.fence == fence else Verdict.LOST

    async def claim(self, _: TopicPartition, epoch: Epoch | None, lineage: str, *, new_lineage: bool = False) -> Claim:
        """As claim.lua does."""
        if self.answers and isinstance(answer := self.answers.pop(0), Exception):
            raise answer
        stored = self.fence
        epoch = epoch or Epoch(stored.epoch.producer_id + 1 if stored else 1, 0)
        if stored is not None and stored.epoch > epoch:
            return Claim(True, stored.epoch, None, "")
        if stored is None or new_lineage:
            stored = Fence(epoch, lineage, None)
        self.fence = stored._replace(epoch=epoch)
        return Claim(False, epoch, self.fence.position, self.fence.lineage)

    async def read(
        self, _: TopicPartition, fence: Fence, streams: Sequence[str]
    ) -> tuple[Verdict, list[StreamEntry | None]]:
        """As StateStore does."""
        verdict = self._answer(fence)
        found = [self.entries.get((fence.lineage, stream)) for stream in streams]
        return verdict, found if verdict is Verdict.OK else []

    async def flush(
        self, _: TopicPartition, fence: Fence, entries: Mapping[str, StreamEntry | None], position: int
    ) -> Verdict:
        """As flush.lua does."""
        verdict = self._answer(fence)
        if verdict is Verdict.OK:
            self.fence = fence._replace(position=position)
            for stream, entry in entries.items():
                self.entries.pop((fence.lineage, stream), None)
                if entry is not None:
                    self.entries[fence.lineage, stream] = entry
        return verdict
