"""Objects that many tests need: records as the consumer delivers them, events, entries, partitions, fake servers.

A fake behaves like the real server as far as the unit tests need it; tests/integration and tests/system run the same
code on real servers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import structs

from model import ModelConfig, StreamState
from worker.kafka.group_offsets import GroupOffset
from worker.kafka.protocol.offsets import Membership
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
from worker.state.claims import Claim, Claimant, Fence, TopicInfo, Verdict
from worker.state.entry import StreamEntry

DAY_MS = 86_400_000
START_MS = 1_700_000_000_000
TWEETS = TopicPartition("tweets", 0)
TOPIC = TopicInfo("cluster/1", 1)
MEMBERSHIP = Membership(7, "member", None)
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
    owner: str = "one",
    lineage: str = "one",
    position: int | None = None,
    start: int = 0,
    committed: int = 0,
    publisher: Any = None,
    **options: Any,
) -> Partition:
    """An owned partition; `options` are others of Partition."""
    options = {"topic": TOPIC} | options
    fence = Fence(owner, lineage, position)
    return Partition(tp, publisher or FakePublisher(), fence, start=start, committed=committed, **options)


def take(partition: Partition, next_offset: int) -> None:
    """Make `partition` take every record below `next_offset`."""
    partition.take([Record(next_offset - 1, None, None)])


def new_observers(**flags: Any) -> tuple[Metrics, Health]:
    """The metrics and health of a worker with these settings."""
    settings = load_settings(**flags)
    metrics = Metrics(settings.topics)
    return metrics, Health(settings, metrics)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what other tasks bring about."""
    while not condition():  # noqa: ASYNC110 - whatever it is, no event tells of it
        await asyncio.sleep(0.001)


# Servers


class FakePublisher:
    """Keeps what is published, after it has raised `errors`, one a call."""

    def __init__(
        self, *errors: Exception, membership: Membership = MEMBERSHIP, transactional_id: str = "sentiment:7:member:0"
    ) -> None:
        self.errors = list(errors)
        self.membership = membership
        self.transactional_id = transactional_id
        self.is_disturbed = False
        self.started = False
        self.published: list[tuple[dict[TopicPartition, list[OutputRecord]], dict[TopicPartition, GroupOffset]]] = []

    async def start(self) -> None:
        self.started = True

    async def publish(
        self, outputs: Mapping[TopicPartition, Sequence[OutputRecord]], offsets: Mapping[TopicPartition, GroupOffset]
    ) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.published.append(({tp: list(of_tp) for tp, of_tp in outputs.items()}, dict(offsets)))

    @property
    def outputs(self) -> list[OutputRecord]:
        """Every record published."""
        return [output for outputs, _ in self.published for of_tp in outputs.values() for output in of_tp]

    @property
    def offsets(self) -> list[dict[TopicPartition, int]]:
        """The offsets of each transaction."""
        return [{tp: offset for tp, (offset, _) in offsets.items()} for _, offsets in self.published]


@dataclass
class Meta:
    """A partition's hash in Redis; see claim.lua. expired: whether it was flushed too long ago."""

    owner: str = ""
    transactional_id: str = ""
    topic_id: str = ""
    num_partitions: int = 0
    lineage: str | None = None
    position: int | None = None
    expired: bool = False

    @property
    def fence(self) -> Fence | None:
        """What a read or a flush is compared with."""
        return None if self.lineage is None else Fence(self.owner, self.lineage, self.position)


class FakeStore:
    """A Redis. It gives `answers` first: a verdict, an error to raise, or None for the real one.

    The first read or flush of a partition that nobody has claimed finds what it asks for.
    """

    def __init__(self, *answers: Verdict | Exception | None) -> None:
        self.answers = list(answers)
        self.metas: dict[TopicPartition, Meta] = {}
        self.entries: dict[tuple[TopicPartition, str, str], StreamEntry] = {}
        self.served: set[TopicPartition] = set()  # by workers of the asker's model

    @property
    def fence(self) -> Fence | None:
        """What stands there for tweets-0."""
        return self.metas[TWEETS].fence if TWEETS in self.metas else None

    def _next_answer(self) -> Verdict | None:
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _compare(self, tp: TopicPartition, fence: Fence) -> Verdict:
        answer = self._next_answer()
        if answer is not None:
            return answer
        owner, lineage, position = fence
        meta = self.metas.setdefault(tp, Meta(owner=owner, lineage=lineage, position=position))
        return Verdict.OK if meta.fence == fence else Verdict.CHANGED

    async def claim(
        self, claimant: Claimant, topics: Mapping[TopicPartition, TopicInfo]
    ) -> dict[TopicPartition, Claim]:
        """As claim.lua does."""
        self._next_answer()
        refused = self.served if claimant.is_shadow else set()
        return {tp: self._claim(claimant, tp, topic) for tp, topic in topics.items() if tp not in refused}

    def _claim(self, claimant: Claimant, tp: TopicPartition, topic: TopicInfo) -> Claim:
        meta = self.metas.setdefault(tp, Meta())
        predecessor = meta.transactional_id
        meta.owner, meta.transactional_id, _ = claimant
        meta.topic_id = meta.topic_id or topic.topic_id
        meta.num_partitions = meta.num_partitions or topic.num_partitions
        position = None if meta.expired or meta.lineage is None else meta.position
        known = TopicInfo(meta.topic_id, meta.num_partitions)
        return Claim(claimant.token, position, meta.lineage, predecessor, known)

    async def begin(self, tp: TopicPartition, token: str, successor: Fence, topic: TopicInfo) -> Verdict:
        """As begin.lua does."""
        answer = self._next_answer()
        if answer is not None:
            return answer
        meta = self.metas.setdefault(tp, Meta())
        if meta.owner != token:
            return Verdict.CHANGED
        self.metas[tp] = Meta(successor.owner, meta.transactional_id, *topic, successor.lineage)
        return Verdict.OK

    async def first_partition_counts(self, topics: Collection[str]) -> dict[str, int]:
        """As StateStore does."""
        found = {name: self.metas.get(TopicPartition(name, 0), Meta()).num_partitions for name in topics}
        return {name: count for name, count in found.items() if count}

    async def read(
        self, tp: TopicPartition, fence: Fence, streams: Sequence[str]
    ) -> tuple[Verdict, list[StreamEntry | None]]:
        """As StateStore does."""
        verdict = self._compare(tp, fence)
        found = [self.entries.get((tp, fence.lineage, stream)) for stream in streams]
        return verdict, found if verdict is Verdict.OK else []

    async def flush(
        self, tp: TopicPartition, fence: Fence, entries: Mapping[str, StreamEntry | None], position: int
    ) -> Verdict:
        """As flush.lua does."""
        verdict = self._compare(tp, fence)
        if verdict is Verdict.OK:
            self.metas[tp].position, self.metas[tp].expired = position, False
            for stream, entry in entries.items():
                self.entries.pop((tp, fence.lineage, stream), None)
                if entry is not None:
                    self.entries[tp, fence.lineage, stream] = entry
        return verdict
