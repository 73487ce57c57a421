"""What is known of a stream that has no state yet: whether it can have had one before."""

from __future__ import annotations

from aiokafka.partitioner import murmur2

from worker.records.types import ResetReason
from worker.state.claims import TopicInfo

_RESET_MARK = "~"
_POSITIVE = 0x7FFFFFFF


def lineage_name(token: str, reset: ResetReason | None) -> str:
    """The name of a lineage; `reset`: what the first event of each of its streams says of the stream's state before."""
    if reset is None:
        return token
    # Version 0.1 knew this reason alone, and wrote the mark alone.
    return token + _RESET_MARK + ("" if reset is ResetReason.HISTORY_LOST else reset)


def lineage_reset(lineage: str) -> ResetReason | None:
    """See `lineage_name`."""
    _, mark, reason = lineage.partition(_RESET_MARK)
    if not mark:
        return None
    return ResetReason(reason) if reason in set(ResetReason) else ResetReason.HISTORY_LOST


def has_moved(key: bytes | None, partition: int, num_partitions_before: int, topic: TopicInfo) -> bool:
    """Whether records of `key` went to another partition before the topic grew.

    Kafka's own clients choose partitions by murmur2 (KIP-794 kept that for keys); of a key that they would not send to
    this partition, nothing is known.
    """
    now = topic.num_partitions
    if key is None or num_partitions_before >= now:
        return False
    number: int = murmur2(key) & _POSITIVE
    return number % now == partition and number % num_partitions_before != partition
