"""Offsets of a group: TxnOffsetCommit v3 and OffsetFetch v7."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

_TEXT = CompactString("utf-8")
_TAGS = ("tags", TaggedFields)


class Membership(NamedTuple):
    """A member of the group, as of one assignment. Offsets are committed in its name, and refused once it is over.

    The live values of a client must not be used instead: it forgets its generation before it joins again, and the
    coordinator accepts offsets of no generation from anybody.
    """

    generation: int
    member_id: str
    instance_id: str | None


NO_MEMBER = Membership(-1, "", None)
"""For groups without members, which only keep offsets."""


class TxnOffsetCommitResponse(Response):
    """Per topic and partition an error code."""

    API_KEY = 28
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("name", _TEXT),
                ("partitions", CompactArray(("partition", Int32), ("error_code", Int16), _TAGS)),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class TxnOffsetCommitStruct(RequestStruct):
    """Version 3."""

    API_KEY = 28
    API_VERSION = 3
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = TxnOffsetCommitResponse
    SCHEMA = Schema(
        ("transactional_id", _TEXT),
        ("group", _TEXT),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        ("generation", Int32),
        ("member_id", _TEXT),
        ("instance_id", _TEXT),
        (
            "topics",
            CompactArray(
                ("name", _TEXT),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32), ("offset", Int64), ("leader_epoch", Int32), ("metadata", _TEXT), _TAGS
                    ),
                ),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class OffsetFetchResponse(Response):
    """Per topic and partition the committed offset (-1: none), its metadata and an error code."""

    API_KEY = 9
    API_VERSION = 7
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("name", _TEXT),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("offset", Int64),
                        ("leader_epoch", Int32),
                        ("metadata", _TEXT),
                        ("error_code", Int16),
                        _TAGS,
                    ),
                ),
                _TAGS,
            ),
        ),
        ("error_code", Int16),
        _TAGS,
    )


class OffsetFetchStruct(RequestStruct):
    """Version 7."""

    API_KEY = 9
    API_VERSION = 7
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = OffsetFetchResponse
    SCHEMA = Schema(
        ("group", _TEXT),
        ("topics", CompactArray(("name", _TEXT), ("partitions", CompactArray(Int32)), _TAGS)),
        ("require_stable", Boolean),
        _TAGS,
    )


class TxnOffsetCommitRequest(Request[TxnOffsetCommitStruct]):
    """The group's offsets, as part of a producer's transaction and in the name of a member of the group.

    topics: (name, [(partition, offset, metadata)]). Sent to the group's coordinator.
    """

    API_KEY = 28

    def __init__(
        self,
        transactional_id: str,
        producer: tuple[int, int],
        group: str,
        membership: Membership,
        topics: Sequence[tuple[str, Sequence[tuple[int, int, str]]]],
    ) -> None:
        self.transactional_id = transactional_id
        self.producer = producer
        self.group = group
        self.membership = membership
        self.topics = topics

    def build(self, request_struct_class: type[TxnOffsetCommitStruct]) -> TxnOffsetCommitStruct:
        """See Request."""
        topics: list[Any] = [
            (name, [(partition, offset, -1, metadata, {}) for partition, offset, metadata in partitions], {})
            for name, partitions in self.topics
        ]
        return request_struct_class(self.transactional_id, self.group, *self.producer, *self.membership, topics, {})


class OffsetFetchRequest(Request[OffsetFetchStruct]):
    """The group's offsets for topics: (name, partitions); with `require_stable` none that may still move.

    Sent to the group's coordinator.
    """

    API_KEY = 9

    def __init__(self, group: str, topics: Sequence[tuple[str, Sequence[int]]], *, require_stable: bool) -> None:
        self.group = group
        self.topics = topics
        self.require_stable = require_stable

    def build(self, request_struct_class: type[OffsetFetchStruct]) -> OffsetFetchStruct:
        """See Request."""
        topics: list[Any] = [(name, list(partitions), {}) for name, partitions in self.topics]
        return request_struct_class(self.group, topics, self.require_stable, {})
