"""When `--until-end` may stop."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from worker.records.types import TopicPartition
from worker.service.monitor import Monitor
from worker.settings import load_settings

TWEETS = TopicPartition("tweets", 0)


class FakePartition:
    """Where a partition stands, at one look after the other."""

    taken = committed = 0

    @property
    def is_idle(self) -> bool:
        return self.taken <= self.committed


class Consumer:
    """What the monitor asks a consumer: its position in the one partition that it has, and what is in flight."""

    def __init__(self, position: int, num_in_flight: int = 0) -> None:
        self.position = position
        self.in_flight = (num_in_flight, 100 * num_in_flight)

    async def read_positions(self) -> dict[TopicPartition, tuple[int, int]]:
        return {TWEETS: (self.position, 5)}


def looks(consumer: Consumer, *standings: tuple[int, int], end: int = 5) -> list[bool]:
    """What the monitor says at one look for each (taken, committed) of the partition."""
    partition = FakePartition()
    parts: Any = SimpleNamespace(consumer=consumer, partitions={TWEETS: partition})
    monitor = Monitor(load_settings(), parts, parts, parts, parts, parts, parts)

    async def look_all() -> list[bool]:
        answers = []
        for partition.taken, partition.committed in standings:
            answers.append(await monitor.has_reached({TWEETS: end}))
        return answers

    return asyncio.run(look_all())


def test_the_end_is_reached_once_its_last_record_is_committed() -> None:
    assert looks(Consumer(position=5), (5, 0), (5, 4), (5, 5)) == [False, False, True]


def test_records_that_were_only_fetched_are_not_done() -> None:
    assert looks(Consumer(position=5), (0, 0)) == [False]
    assert looks(Consumer(position=5, num_in_flight=5), (0, 0), (0, 0), (0, 0)) == [False] * 3


def test_markers_at_the_end_that_no_record_reaches_are_passed_at_the_second_look() -> None:
    assert looks(Consumer(position=5), (4, 4), (4, 4)) == [False, True]
    assert looks(Consumer(position=4), (4, 4), (4, 4)) == [False, False]


def test_an_empty_partition_is_at_its_end() -> None:
    assert looks(Consumer(position=0), (0, 0), end=0) == [True]
