"""A micro-batch: the records that go through the pipeline's steps together, and how long it waits for more of them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from worker.records.types import TopicPartition

Records = dict[TopicPartition, list[Any]]
"""Raw records (aiokafka's ConsumerRecord) by partition, in offset order."""


_FULL_POLL_S = 0.5
# A commit costs the brokers and us much the same for one record as for a hundred. While brokers collect records for so
# many times its length, that cost stays bounded whatever the rate. Measured at 300 records/s: docs/decisions.md.
_COLLECT_PER_COMMIT = 3.0
# Several brokers answer one by one, and what they answer is joined.
_PAUSE_PER_COMMIT = 1.0
_NEW_SHARE = 0.2
_MAX_GROWTH = 2.0


class BatchLimits(Protocol):
    """The settings that limit how many records are fetched but not yet committed."""

    @property
    def max_batch(self) -> int: ...  # noqa: D102
    @property
    def max_inflight_records(self) -> int: ...  # noqa: D102
    @property
    def max_inflight_bytes(self) -> int: ...  # noqa: D102


class MicroBatch:
    """Records of several partitions. It grows until `take` is called; a batch that the consumer dropped is empty."""

    def __init__(self, max_records: int) -> None:
        self._max_records = max_records
        self._records: Records = {}
        self._full = asyncio.Event()
        self.num_records = 0
        self.closed = False
        self.created_s = time.monotonic()

    @property
    def full(self) -> bool:
        """Whether the batch holds its maximum number of records."""
        return self.num_records >= self._max_records

    def add(self, tp: TopicPartition, records: list[Any]) -> list[Any]:
        """Add as many of `records` as fit, and return the rest."""
        fitting = records[: self._max_records - self.num_records]
        self._records.setdefault(tp, []).extend(fitting)
        self.num_records += len(fitting)
        if self.full:
            self._full.set()
        return records[len(fitting) :]

    async def fill(self, max_wait_s: float) -> None:
        """Wait until the batch is full, for at most `max_wait_s`."""
        if not self.full and max_wait_s > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), max_wait_s)

    def take(self) -> Records:
        """Close the batch and return its records; a second call returns none."""
        records, self._records = self._records, {}
        self.closed = True
        self._full.set()
        return records


class InFlight:
    """The records that are fetched and not done, within the limits of the settings."""

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self._num_records: Counter[TopicPartition] = Counter()
        self._num_bytes = 0
        self._room = asyncio.Event()

    @property
    def num_records(self) -> int:
        """All of them."""
        return self._num_records.total()

    @property
    def num_bytes(self) -> int:
        """The bytes of their keys and values."""
        return self._num_bytes

    def has(self, tp: TopicPartition) -> bool:
        """Whether some are of this partition."""
        return self._num_records[tp] > 0

    def add(self, tp: TopicPartition, records: list[Any]) -> None:
        """Count `records`."""
        self._num_records[tp] += len(records)
        self._num_bytes += size_bytes(records)

    def remove(self, records: Records) -> None:
        """These are done."""
        self._num_records.subtract({tp: len(of_partition) for tp, of_partition in records.items()})
        self._num_bytes -= sum(map(size_bytes, records.values()))
        self._room.set()

    async def wait_for_room(self, is_stopped: Callable[[], bool]) -> None:
        """Until there are fewer than the limits allow."""
        limits = self._limits
        while (
            self.num_records >= limits.max_inflight_records or self._num_bytes >= limits.max_inflight_bytes
        ) and not is_stopped():
            self._room.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._room.wait(), _FULL_POLL_S)


class HeldRecords:
    """Records that were fetched before they may be processed."""

    def __init__(self) -> None:
        self._records: Records = {}

    @property
    def num_records(self) -> int:
        """All of them."""
        return sum(map(len, self._records.values()))

    def hold(self, tp: TopicPartition, records: list[Any]) -> None:
        """Keep records, behind those of the partition that are kept already."""
        if records:
            self._records.setdefault(tp, []).extend(records)

    def release(self, tp: TopicPartition, bound: int | None) -> list[Any]:
        """The kept records of a partition that lie before `bound`."""
        records = self._records.pop(tp, [])
        num_due = len(records) if bound is None else sum(record.offset < bound for record in records)
        self.hold(tp, records[num_due:])
        return records[:num_due]

    def take(self) -> Records:
        """All of them, which are kept no longer."""
        records, self._records = self._records, {}
        return records

    def __iter__(self) -> Iterator[TopicPartition]:
        """The partitions that have some."""
        return iter(list(self._records))


class Pacing:
    """Spaces commits by what they cost now: a micro-batch waits as long as commits are slow.

    Times are of a monotonic clock, in seconds. Safe to ask from any thread.
    """

    def __init__(self, max_wait_s: float) -> None:
        self._max_wait_s = max_wait_s
        self._cost_s = 0.0
        self._free_at_s = 0.0

    def wait_s(self, now_s: float) -> float:
        """How long a batch that begins now waits until it is full."""
        return min(self._max_wait_s, max(0.0, self._free_at_s - now_s))

    def fetch_wait_s(self) -> float:
        """How long a fetch that follows another collects records."""
        return min(self._max_wait_s, self._cost_s * _COLLECT_PER_COMMIT)

    def commit_began(self, now_s: float) -> None:
        """A commit is under way; it may take as long as the ones before."""
        self._free_at_s = now_s + self._cost_s * (1 + _PAUSE_PER_COMMIT)

    def commit_ended(self, now_s: float, took_s: float) -> None:
        """The commit is over."""
        # One commit beside a stall of the broker says little about the next one.
        known_s = min(took_s, _MAX_GROWTH * self._cost_s) if self._cost_s else took_s
        self._cost_s += _NEW_SHARE * (known_s - self._cost_s) if self._cost_s else known_s
        self._free_at_s = now_s + self._cost_s * _PAUSE_PER_COMMIT


def size_bytes(records: list[Any]) -> int:
    """The number of bytes in the keys and values of raw records."""
    return sum(len(record.value or b"") + len(record.key or b"") for record in records)
