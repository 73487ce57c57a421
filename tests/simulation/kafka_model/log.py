"""Topics and the logs of their partitions: records, markers, sequence numbers, the last stable offset."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from worker.kafka.protocol.codes import ErrorCode

_NUM_REMEMBERED_BATCHES = 5


class Entry(NamedTuple):
    """A record, or the marker that ends a producer's transaction (`commits` is not None).

    producer_id: -1 for a record outside of a transaction.
    """

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    producer_id: int = -1
    commits: bool | None = None


@dataclass
class ProducerState:
    """What a partition knows of a producer: its epoch and its last batches (first sequence, last, offset)."""

    epoch: int
    batches: list[tuple[int, int, int]] = field(default_factory=list)
    open_since: int | None = None


class PartitionLog:
    """One partition. `offset` is that of the next entry."""

    def __init__(self) -> None:
        self.start = 0
        self.offset = 0
        self.entries: list[Entry] = []
        self.producers: dict[int, ProducerState] = {}
        self._aborted: set[int] = set()  # offsets of records of aborted transactions

    def append(self, records: Iterable[Any], producer_id: int = -1) -> int:
        """Append records (timestamp, key, value, headers) and return the first one's offset."""
        first = self.offset
        for record in records:
            fields = record.timestamp, record.key, record.value, tuple(record.headers)
            self.entries.append(Entry(self.offset, *fields, producer_id))
            self.offset += 1
        return first

    def produce(  # noqa: PLR0911 - one return per answer of a broker
        self, batch: Any, records: list[Any], *, in_transaction: bool
    ) -> tuple[int, int]:
        """A producer's batch: an error code and the offset of its first record. Duplicates are acknowledged again."""
        state = self.producers.get(batch.producer_id)
        if state is not None and batch.producer_epoch < state.epoch:
            return ErrorCode.INVALID_PRODUCER_EPOCH, -1
        if batch.is_transactional and not in_transaction:
            return ErrorCode.INVALID_TXN_STATE, -1
        first, last = batch.base_sequence, batch.base_sequence + len(records) - 1
        if state is None or batch.producer_epoch > state.epoch:
            if first != 0 and state is not None:
                return ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, -1
            state = self.producers[batch.producer_id] = ProducerState(
                batch.producer_epoch, open_since=state.open_since if state else None
            )
        else:
            for known_first, known_last, offset in state.batches:
                if (known_first, known_last) == (first, last):
                    return ErrorCode.NONE, offset
            expected = state.batches[-1][1] + 1 if state.batches else 0
            if first < expected:
                return ErrorCode.DUPLICATE_SEQUENCE_NUMBER, -1
            if first != expected:
                return ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, -1
        offset = self.append(records, batch.producer_id if batch.is_transactional else -1)
        state.batches = [*state.batches[1 - _NUM_REMEMBERED_BATCHES :], (first, last, offset)]
        if batch.is_transactional and state.open_since is None:
            state.open_since = offset
        return ErrorCode.NONE, offset

    def mark(self, producer_id: int, epoch: int, *, commit: bool, now_ms: int) -> None:
        """Write the marker that ends the producer's transaction here."""
        state = self.producers.setdefault(producer_id, ProducerState(epoch))
        if epoch > state.epoch:
            state.epoch, state.batches = epoch, []
        if not commit and state.open_since is not None:
            since = state.open_since
            self._aborted.update(e.offset for e in self.entries if e.offset >= since and e.producer_id == producer_id)
        state.open_since = None
        self.entries.append(Entry(self.offset, now_ms, None, None, (), producer_id, commit))
        self.offset += 1

    @property
    def last_stable_offset(self) -> int:
        """The first offset of the oldest open transaction; the log's end where none is open."""
        return min((s.open_since for s in self.producers.values() if s.open_since is not None), default=self.offset)

    def committed(self, offset: int, max_records: int) -> tuple[list[Entry], int]:
        """What a read_committed reader gets from `offset` on, and its position afterwards."""
        found: list[Entry] = []
        end = self.last_stable_offset
        base = self.entries[0].offset if self.entries else self.offset
        for entry in self.entries[max(0, offset - base) :]:
            if entry.offset >= end:
                break
            offset = entry.offset + 1
            if entry.commits is None and entry.offset not in self._aborted:
                found.append(entry)
                if len(found) >= max_records:
                    break
        return found, offset

    def stable(self, offset: int, max_entries: int) -> tuple[list[Entry], list[tuple[int, int]]]:
        """What lies between `offset` and the last stable offset, and its aborted transactions.

        Of each its producer's id and its first offset, as brokers tell a reader that leaves their records out itself.
        """
        end = self.last_stable_offset
        found = [entry for entry in self.entries if offset <= entry.offset < end][:max_entries]
        aborted, open_since = [], dict[int, int]()
        for entry in self.entries:
            if entry.commits is None:
                open_since.setdefault(entry.producer_id, entry.offset)
                continue
            first = open_since.pop(entry.producer_id, entry.offset)
            if not entry.commits and found and first <= found[-1].offset and entry.offset >= offset:
                aborted.append((entry.producer_id, first))
        return found, aborted

    def since(self, timestamp: int) -> tuple[int, int]:
        """The timestamp and offset of the first entry of `timestamp` or later; -1 and -1 where there is none."""
        return next(((e.timestamp, e.offset) for e in self.entries if e.timestamp >= timestamp), (-1, -1))

    def truncate(self, end: int) -> None:
        """Lose the entries from `end` on, as after an unclean election."""
        self.entries = [e for e in self.entries if e.offset < end]
        self.offset = min(self.offset, max(end, self.start))
        self._aborted = {offset for offset in self._aborted if offset < end}
        for state in self.producers.values():
            if state.open_since is not None and state.open_since >= end:
                state.open_since = None

    def delete_before(self, start: int) -> None:
        """Retention: the entries before `start` are gone."""
        self.start = max(self.start, min(start, self.offset))
        self.entries = [e for e in self.entries if e.offset >= self.start]


@dataclass
class Topic:
    """A topic: another id each time that it is created."""

    topic_id: bytes
    logs: list[PartitionLog]
