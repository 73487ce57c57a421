"""Owned partitions, their streams' entries, where they publish to, and who observes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from model import ModelConfig, StreamState
from tests.factories.records import TWEETS, Record
from worker.kafka.group_offsets import GroupOffset
from worker.kafka.protocol.offsets import Membership
from worker.monitoring.health import Health
from worker.monitoring.metrics import Metrics
from worker.monitoring.observers import Observers
from worker.monitoring.tracing.tracing import NO_TRACING, Tracing
from worker.ownership.partition import Partition
from worker.process import CrashPoints
from worker.records.types import OutputRecord, TopicPartition
from worker.settings import load_settings
from worker.state.claims import Fence, TopicInfo
from worker.state.entry import StreamEntry

TOPIC = TopicInfo("cluster/1", 1)
MEMBERSHIP = Membership(7, "member", None)
CONFIG = ModelConfig(num_words=1, num_buckets=1, embedding_size=1, hidden_size=1, summary_size=1, stream_size=2)


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


def new_observers(tracing: Tracing = NO_TRACING, **flags: Any) -> Observers:
    """Those of a worker with these settings that reaches no point to end at."""
    settings = load_settings(**flags)
    metrics = Metrics(settings.topics)
    return Observers(metrics, Health(settings, metrics), CrashPoints(None), tracing)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what other tasks bring about."""
    while not condition():  # noqa: ASYNC110 - whatever it is, no event tells of it
        await asyncio.sleep(0.001)


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
