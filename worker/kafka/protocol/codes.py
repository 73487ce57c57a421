"""The error codes of Kafka's protocol that decide what happens next; aiokafka has no name for some of them."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from aiokafka.errors import for_code

from worker.errors import RefusedError
from worker.kafka.access.causes import advice_for


class ErrorCode(IntEnum):
    """Numbers of the protocol, under the names of its documentation."""

    NONE = 0
    OFFSET_OUT_OF_RANGE = 1
    UNKNOWN_TOPIC_OR_PARTITION = 3
    LEADER_NOT_AVAILABLE = 5
    NOT_LEADER_OR_FOLLOWER = 6
    REQUEST_TIMED_OUT = 7
    MESSAGE_TOO_LARGE = 10
    NETWORK_EXCEPTION = 13
    COORDINATOR_LOAD_IN_PROGRESS = 14
    COORDINATOR_NOT_AVAILABLE = 15
    NOT_COORDINATOR = 16
    RECORD_LIST_TOO_LARGE = 18
    NOT_ENOUGH_REPLICAS = 19
    NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20
    ILLEGAL_GENERATION = 22
    UNKNOWN_MEMBER_ID = 25
    REBALANCE_IN_PROGRESS = 27
    TOPIC_AUTHORIZATION_FAILED = 29
    OUT_OF_ORDER_SEQUENCE_NUMBER = 45
    DUPLICATE_SEQUENCE_NUMBER = 46
    INVALID_PRODUCER_EPOCH = 47
    INVALID_TXN_STATE = 48
    INVALID_PRODUCER_ID_MAPPING = 49
    CONCURRENT_TRANSACTIONS = 51
    TRANSACTION_COORDINATOR_FENCED = 52
    OPERATION_NOT_ATTEMPTED = 55
    KAFKA_STORAGE_ERROR = 56
    UNKNOWN_PRODUCER_ID = 59
    OFFSET_NOT_AVAILABLE = 78
    FENCED_INSTANCE_ID = 82
    UNSTABLE_OFFSET_COMMIT = 88
    PRODUCER_FENCED = 90


COORDINATOR_MOVES = frozenset(
    {ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.NOT_COORDINATOR}
)
"""The coordinator is being looked for: ask again, another broker if need be."""

LEADER_MOVES = frozenset(
    {
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.REQUEST_TIMED_OUT,
        ErrorCode.NETWORK_EXCEPTION,
        ErrorCode.NOT_ENOUGH_REPLICAS,
        ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        ErrorCode.KAFKA_STORAGE_ERROR,
        ErrorCode.OFFSET_NOT_AVAILABLE,
    }
)
"""A partition's leader is being looked for, or not yet ready: ask again, with fresh metadata."""

TRANSACTION_BUSY = frozenset(
    {
        ErrorCode.CONCURRENT_TRANSACTIONS,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.OPERATION_NOT_ATTEMPTED,
        ErrorCode.REQUEST_TIMED_OUT,
    }
)
"""The transaction's coordinator accepts the request a little later."""

PRODUCER_BUSY = frozenset(
    {ErrorCode.CONCURRENT_TRANSACTIONS, ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.PRODUCER_FENCED}
)
"""What InitProducerId ends is being ended by somebody else just now: ask again.

A broker fences the earlier producer first and then ends its transaction. Where another request comes between the two,
the second step fails with the fenced epoch; the request itself names none, so that nobody can have fenced it.
"""

GENERATION_REFUSED = frozenset(
    {ErrorCode.ILLEGAL_GENERATION, ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_INSTANCE_ID}
)
"""The group goes on without this member, or without this generation of it."""

TOO_LARGE = frozenset({ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.RECORD_LIST_TOO_LARGE})
"""The batch exceeds the topic's limit, max.message.bytes."""

PRODUCER_REFUSED = frozenset(
    {
        ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
        ErrorCode.INVALID_PRODUCER_EPOCH,
        ErrorCode.INVALID_TXN_STATE,
        ErrorCode.INVALID_PRODUCER_ID_MAPPING,
        ErrorCode.TRANSACTION_COORDINATOR_FENCED,
        ErrorCode.UNKNOWN_PRODUCER_ID,
        ErrorCode.PRODUCER_FENCED,
    }
)
"""The producer is over: another has its id, its transaction took too long, or its id is forgotten."""


def refusal(what: str, code: int) -> RefusedError:
    """The error that says that a broker refuses `what`."""
    error = for_code(code)
    advice = advice_for(code)
    meaning = f"{error.message}. {' '.join(str(error.description or '').split())}"
    return RefusedError(what, code, f"{meaning} {advice}".rstrip())


def codes_of(response: Any) -> tuple[int, ...]:
    """The error code of an answer that has one."""
    return (response.error_code,)


def codes_of_topics(response: Any) -> list[int]:
    """The error codes of an answer that has one for each partition.

    AddPartitionsToTxn, TxnOffsetCommit and OffsetCommit; the first names its field in its own way.
    """
    topics = response.errors if hasattr(response, "errors") else response.topics
    return [one[1] for _, found, *_ in topics for one in found]
