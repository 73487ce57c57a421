"""What stands in Redis for a partition beside its states: who claimed it, its lineage, the position of its states."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from worker.state.entry import StreamEntry

FENCE_FIELDS = ("owner", "lineage", "position")
_WHOLE_NUMBER = re.compile(rb"[0-9]{1,18}")


class Verdict(StrEnum):
    """Whether Redis still holds what the asker last wrote for a partition. UNREADABLE: all of it, but not every entry
    can be decoded.
    """

    OK = "ok"
    CHANGED = "changed"
    UNREADABLE = "unreadable"


class Fence(NamedTuple):
    """What the owner of a partition last wrote to Redis; a read or a flush is accepted while it stands there.

    position: the next offset that the states in Redis lack; None before the first flush of a lineage.
    """

    owner: str
    lineage: str
    position: int | None


class Claimant(NamedTuple):
    """Who claims partitions: a random token of this claim, and the transactional id ('' without transactions).

    is_shadow: refused where a worker of the same model claimed last.
    """

    token: str
    transactional_id: str
    is_shadow: bool = False


class TopicInfo(NamedTuple):
    """The id of a topic, '' where the brokers have none, and its number of partitions."""

    topic_id: str
    num_partitions: int


class Claim(NamedTuple):
    """Answer to a claim: where the states in Redis stand (position and lineage None: there are none), and of whom.

    predecessor: the transactional id of the owner before, of the same model. topic: the topic when the lineage began.
    last_worker: the transactional id of the last owner of any model, shadows aside. Ids are '' where there is none.
    num_resets: how often the group's offset had gone back when the states were written; None where that is unknown.
    """

    token: str
    position: int | None
    lineage: str | None
    predecessor: str
    topic: TopicInfo
    last_worker: str = ""
    num_resets: int | None = None


class FlushedEntry(NamedTuple):
    """A stream's entry in Redis, and the fence that stands there for its partition."""

    fence: Fence
    entry: StreamEntry


def read_claim(token: str, answer: Sequence[bytes], topic: TopicInfo) -> Claim:
    """The claim in the answer of claim.lua to `token`; `topic` is as the brokers have it now."""
    position, lineage, predecessor, topic_id, num_partitions, last_worker, num_resets = answer
    name = _text(lineage)
    count = read_number(num_partitions)
    return Claim(
        token,
        read_number(position) if name else None,
        name or None,
        _text(predecessor),
        TopicInfo(_text(topic_id), topic.num_partitions if count is None else count),
        _text(last_worker),
        read_number(num_resets),
    )


def read_fence(values: Sequence[bytes | None]) -> Fence | None:
    """The fence in the values of `FENCE_FIELDS`; None where Redis has none."""
    owner, lineage, position = values
    if lineage is None:
        return None
    # Version 0.1 wrote no owner.
    return Fence(_text(owner), _text(lineage), read_number(position))


def _text(value: bytes | None) -> str:
    """What a worker wrote; '' for bytes that none would write."""
    try:
        return (value or b"").decode()
    except UnicodeDecodeError:
        return ""


def read_number(value: Any) -> int | None:
    """The number that a worker wrote; None for anything else."""
    return int(value) if isinstance(value, bytes) and _WHOLE_NUMBER.fullmatch(value) else None
