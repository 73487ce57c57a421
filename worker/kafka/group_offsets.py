"""What a group notes of a partition, and why a broker refuses to note it within a transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from worker.kafka.producer import FencedError
from worker.kafka.protocol.codes import GENERATION_REFUSED, PRODUCER_REFUSED, ErrorCode, refusal
from worker.records.types import TopicPartition


class GroupOffset(NamedTuple):
    """The next offset that a group has to read, and what it notes with it."""

    offset: int
    metadata: str = ""


class ExpelledError(FencedError):
    """The group goes on without the member in whose name offsets were to be committed: nothing was."""


class GoneError(Exception):
    """Partitions whose offsets were to be committed do not exist any more: nothing was committed."""

    def __init__(self, tps: Collection[TopicPartition]) -> None:
        super().__init__(f"no such partitions: {', '.join(f'{topic}-{number}' for topic, number in sorted(tps))}")
        self.tps = frozenset(tps)


def raise_for_offsets(codes: Mapping[TopicPartition, int]) -> None:
    """Raise what the answer to TxnOffsetCommit says: ExpelledError, FencedError, GoneError or RefusedError."""
    refused = set(codes.values()) - {ErrorCode.NONE}
    if refused & GENERATION_REFUSED:
        raise ExpelledError(f"TxnOffsetCommit: {sorted(refused)}")
    if refused & PRODUCER_REFUSED:
        raise FencedError(f"TxnOffsetCommit: {sorted(refused)}")
    if refused == {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}:
        raise GoneError([tp for tp, code in codes.items() if code != ErrorCode.NONE])
    if refused:
        raise refusal("TxnOffsetCommit", min(refused))
