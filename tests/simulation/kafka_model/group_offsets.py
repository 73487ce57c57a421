"""The offsets of a consumer group: those that are committed, and those that open transactions may still move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from worker.kafka.protocol.codes import ErrorCode
from worker.records.types import TopicPartition

NO_OFFSET = -1


class GroupOffset(NamedTuple):
    """An offset and what was noted with it."""

    offset: int
    metadata: str


@dataclass
class GroupOffsets:
    """One group's offsets. pending: those of each open transaction, by its producer's id.

    history: every offset that was committed, in order. loaded: what a coordinator tells that has loaded a part of them
    so far, with what was committed since; None where it has all.
    """

    committed: dict[TopicPartition, GroupOffset] = field(default_factory=dict)
    history: list[tuple[TopicPartition, GroupOffset]] = field(default_factory=list)
    loaded: dict[TopicPartition, GroupOffset] | None = None
    pending: dict[int, dict[TopicPartition, GroupOffset]] = field(default_factory=dict)
    producer_epochs: dict[int, int] = field(default_factory=dict)

    def check_producer(self, producer: tuple[int, int]) -> ErrorCode:
        """Whether no later epoch of the producer has written here."""
        is_old = producer[1] < self.producer_epochs.get(producer[0], -1)
        return ErrorCode.INVALID_PRODUCER_EPOCH if is_old else ErrorCode.NONE

    def stage(self, producer: tuple[int, int], offsets: Mapping[TopicPartition, GroupOffset]) -> None:
        """Offsets that count once the producer's transaction commits."""
        self.producer_epochs[producer[0]] = producer[1]
        self.pending.setdefault(producer[0], {}).update(offsets)

    def mark(self, producer_id: int, epoch: int, *, commit: bool) -> None:
        """The producer's transaction has ended."""
        self.producer_epochs[producer_id] = max(epoch, self.producer_epochs.get(producer_id, -1))
        staged = self.pending.pop(producer_id, {})
        if commit:
            self.commit(staged)

    def commit(self, offsets: Mapping[TopicPartition, GroupOffset]) -> None:
        """These offsets count from here on."""
        self.committed.update(offsets)
        self.history += offsets.items()
        if self.loaded is not None:
            self.loaded.update(offsets)

    def told(self, tp: TopicPartition) -> GroupOffset:
        """What the coordinator says of a partition."""
        told = self.committed if self.loaded is None else self.loaded
        return told.get(tp, GroupOffset(NO_OFFSET, ""))

    def load(self, num_commits: int) -> None:
        """The coordinator has loaded so many of the commits so far, and answers."""
        self.loaded = dict(self.history[:num_commits])

    def is_unstable(self, tp: TopicPartition) -> bool:
        """Whether an open transaction may still move the offset."""
        return any(tp in staged for staged in self.pending.values())

    def forget_topic(self, topic: str) -> None:
        """The topic is deleted: so are its offsets."""
        self.history = [(tp, offset) for tp, offset in self.history if tp.topic != topic]
        for offsets in (self.committed, self.loaded or {}, *self.pending.values()):
            for tp in [tp for tp in offsets if tp.topic == topic]:
                del offsets[tp]
