"""The records that are taken through the steps together."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any, Protocol

from worker.records.types import TopicPartition

Records = dict[TopicPartition, list[Any]]
"""Raw records (aiokafka's ConsumerRecord) by partition, in offset order."""


class BatchLimits(Protocol):
    """The settings that bound what is fetched and not done."""

    @property
    def max_batch(self) -> int: ...  # noqa: D102
    @property
    def max_inflight_records(self) -> int: ...  # noqa: D102
    @property
    def max_inflight_bytes(self) -> int: ...  # noqa: D102


class MicroBatch:
    """Records of several partitions. It grows until it is taken; a batch that is dropped before is empty."""

    def __init__(self, max_records: int) -> None:
        self._max_records = max_records
        self._records: Records = {}
        self._full = asyncio.Event()
        self.num_records = 0
        self.closed = False
        self.created_s = time.monotonic()

    @property
    def full(self) -> bool:
        """Whether it has its number of records."""
        return self.num_records >= self._max_records

    def add(self, tp: TopicPartition, records: list[Any]) -> list[Any]:
        """Take in as many of `records` as fit; the rest is returned."""
        fitting = records[: self._max_records - self.num_records]
        self._records.setdefault(tp, []).extend(fitting)
        self.num_records += len(fitting)
        if self.full:
            self._full.set()
        return records[len(fitting) :]

    async def fill(self, max_wait_s: float) -> None:
        """Until the batch is full, at the latest after `max_wait_s`."""
        if not self.full and max_wait_s > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), max_wait_s)

    def take(self) -> Records:
        """Its records, once; it grows no more."""
        records, self._records = self._records, {}
        self.closed = True
        self._full.set()
        return records


def size_bytes(records: list[Any]) -> int:
    """Payload of raw records."""
    return sum(len(record.value or b"") + len(record.key or b"") for record in records)
