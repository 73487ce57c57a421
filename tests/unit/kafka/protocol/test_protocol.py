"""Our requests, byte by byte as Kafka's protocol describes them, and what answers become."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.protocol.api import Request
from aiokafka.protocol.metadata import MetadataRequest
from hypothesis import given
from hypothesis import strategies as st

from worker.kafka.protocol.codes import (
    COORDINATOR_MOVES,
    GENERATION_REFUSED,
    LEADER_MOVES,
    PRODUCER_REFUSED,
    ErrorCode,
    refusal,
)
from worker.kafka.protocol.offsets import (
    NO_MEMBER,
    Membership,
    OffsetFetchRequest,
    OffsetFetchResponse,
    TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
)
from worker.kafka.protocol.topics import MetadataResponse, TopicIdsRequest
from worker.kafka.protocol.transactions import (
    DescribeTransactionRequest,
    DescribeTransactionsResponse,
    ListTransactionsRequest,
    ListTransactionsResponse,
)

TAGS, NULL = "00", "00"
MINUS_ONE = "ffffffff"
# A tagged field that this version does not know: one field, number 7, two bytes.
UNKNOWN_TAG = "01 07 02 abcd"
TOPIC_ID = "000102030405060708090a0b0c0d0e0f"


def text(value: str) -> str:
    """A compact string."""
    return f"{len(value) + 1:02x} {value.encode().hex()}"


def int16(value: int) -> str:
    return value.to_bytes(2, "big", signed=True).hex()


def int32(value: int) -> str:
    return value.to_bytes(4, "big", signed=True).hex()


def int64(value: int) -> str:
    return value.to_bytes(8, "big", signed=True).hex()


def array(*items: str) -> str:
    """A compact array."""
    return f"{len(items) + 1:02x}" + "".join(items)


def bytes_of(*fields: str) -> bytes:
    return bytes.fromhex("".join(fields).replace(" ", ""))


def encoded(request: Request[Any], version: int) -> bytes:
    """The body on the wire, for a broker that has this version among others."""
    wire = request.prepare({request.API_KEY: (0, 99)})
    assert version == wire.API_VERSION
    assert version == wire.RESPONSE_TYPE.API_VERSION
    return wire.encode()


def test_offsets_of_a_transaction_name_the_member_and_its_generation() -> None:
    request = TxnOffsetCommitRequest("tx", (5, 2), "g", Membership(7, "m", "i"), [("a", [(1, 9, "x"), (2, 3, "")])])
    assert encoded(request, 3) == bytes_of(
        *(text("tx"), text("g"), int64(5), int16(2), int32(7), text("m"), text("i")),
        array(
            text("a")
            + array(
                int32(1) + int64(9) + MINUS_ONE + text("x") + TAGS,
                int32(2) + int64(3) + MINUS_ONE + text("") + TAGS,
            )
            + TAGS
        ),
        TAGS,
    )


def test_a_member_without_a_name_of_its_own_and_a_group_without_members_are_null() -> None:
    request = TxnOffsetCommitRequest("tx", (5, 2), "g", NO_MEMBER, [])
    fields = (text("tx"), text("g"), int64(5), int16(2), MINUS_ONE, text(""), NULL, array(), TAGS)
    assert encoded(request, 3) == bytes_of(*fields)


def test_the_answer_to_offsets_of_a_transaction_is_a_code_for_each_partition() -> None:
    partitions = array(int32(1) + int16(22) + TAGS, int32(2) + int16(0) + UNKNOWN_TAG)
    data = bytes_of(int32(0), array(text("a") + partitions + TAGS), UNKNOWN_TAG)
    ((topic, found, _),) = TxnOffsetCommitResponse.decode(data).topics
    assert (topic, [(number, code) for number, code, _ in found]) == ("a", [(1, 22), (2, 0)])


def test_stable_offsets_are_asked_for_by_group_and_partition() -> None:
    request = OffsetFetchRequest("g", [("a", [0, 3])], require_stable=True)
    topics = array(text("a") + array(int32(0), int32(3)) + TAGS)
    assert encoded(request, 7) == bytes_of(text("g"), topics, "01", TAGS)


def test_the_answer_to_offsets_has_offsets_metadata_and_codes() -> None:
    stable = int32(0) + int64(7) + MINUS_ONE + text("cluster/1") + int16(0) + TAGS
    unstable = int32(3) + int64(-1) + MINUS_ONE + NULL + int16(88) + TAGS
    data = bytes_of(int32(0), array(text("a") + array(stable, unstable) + TAGS), int16(0), TAGS)
    response = OffsetFetchResponse.decode(data)
    ((topic, found, _),) = response.topics
    assert (topic, response.error_code) == ("a", 0)
    assert [one[:5] for one in found] == [(0, 7, -1, "cluster/1", 0), (3, -1, -1, None, 88)]


def test_the_ids_of_topics_are_asked_for_by_name_and_create_nothing() -> None:
    names = array(*("00" * 16 + text(name) + TAGS for name in ("a", "b")))
    assert encoded(TopicIdsRequest(["a", "b"]), 12) == bytes_of(names, "00", "00", TAGS)


def test_the_answer_to_topic_ids_names_the_cluster_and_each_topic() -> None:
    broker = int32(1) + text("host") + int32(9092) + NULL + TAGS
    partition = int16(0) + int32(0) + int32(1) + int32(4) + array(int32(1)) + array(int32(1)) + array() + TAGS
    known = int16(0) + text("a") + TOPIC_ID + "00" + array(partition) + MINUS_ONE + TAGS
    unknown = int16(3) + text("b") + "00" * 16 + "00" + array() + MINUS_ONE + TAGS
    data = bytes_of(int32(0), array(broker), text("cluster"), int32(1), array(known, unknown), TAGS)
    response = MetadataResponse.decode(data)
    assert response.cluster_id == "cluster"
    assert [one[:3] for one in response.topics] == [(0, "a", bytes.fromhex(TOPIC_ID)), (3, "b", bytes(16))]


def test_transactions_are_asked_for_by_state() -> None:
    states = array(text("Ongoing"), text("PrepareAbort"))
    assert encoded(ListTransactionsRequest(["Ongoing", "PrepareAbort"]), 0) == bytes_of(states, array(), TAGS)


def test_the_answer_to_transactions_has_their_ids() -> None:
    found = text("tx") + int64(5) + text("Ongoing") + TAGS
    response = ListTransactionsResponse.decode(bytes_of(int32(0), int16(0), array(), array(found), TAGS))
    assert [one[:3] for one in response.transactions] == [("tx", 5, "Ongoing")]


def test_the_state_of_a_transaction_is_asked_for_by_its_id() -> None:
    assert encoded(DescribeTransactionRequest("tx"), 0) == bytes_of(array(text("tx")), TAGS)
    topic = text("out") + array(int32(0)) + TAGS
    found = int16(0) + text("tx") + text("CompleteCommit") + int32(9) + int64(1) + int64(5) + int16(2) + array(topic)
    response = DescribeTransactionsResponse.decode(bytes_of(int32(0), array(found + TAGS), TAGS))
    assert [one[:3] for one in response.transactions] == [(0, "tx", "CompleteCommit")]


requests = st.sampled_from(
    [
        TxnOffsetCommitRequest("tx", (5, 2), "g", NO_MEMBER, []),
        OffsetFetchRequest("g", [], require_stable=True),
        TopicIdsRequest([]),
        ListTransactionsRequest([]),
        DescribeTransactionRequest("tx"),
    ]
)


@given(request=requests)
def test_a_broker_without_the_version_is_too_old(request: Request[Any]) -> None:
    wire = request.prepare({request.API_KEY: (0, 99)})
    with pytest.raises(NotImplementedError):
        request.prepare({request.API_KEY: (wire.API_VERSION + 1, wire.API_VERSION + 1)})


names = st.text(max_size=100)


@given(
    name=names,
    offset=st.integers(-1, 2**62),
    metadata=names,
    member=st.builds(Membership, st.integers(-1, 2**31 - 1), names, st.none() | names),
)
def test_what_is_encoded_is_decoded_as_it_was(name: str, offset: int, metadata: str, member: Membership) -> None:
    request = TxnOffsetCommitRequest(name, (5, 2), name, member, [(name, [(3, offset, metadata)])])
    wire: Any = request.prepare({28: (0, 99)})
    back: Any = type(wire).decode(wire.encode())
    assert (back.generation, back.member_id, back.instance_id) == member
    ((topic, ((number, found, _, noted, _),), _),) = back.topics
    assert (topic, number, found, noted) == (name, 3, offset, metadata)


def test_aiokafkas_own_metadata_request_is_another_version() -> None:
    assert MetadataRequest.API_KEY == TopicIdsRequest.API_KEY
    assert MetadataRequest([]).prepare({3: (0, 99)}).API_VERSION != 12


# Codes


def test_a_code_means_one_thing() -> None:
    groups = [COORDINATOR_MOVES, LEADER_MOVES, GENERATION_REFUSED, PRODUCER_REFUSED]
    assert sum(map(len, groups)) == len(frozenset().union(*groups))
    assert all(ErrorCode.NONE not in group for group in groups)


def test_a_refusal_names_the_request_the_code_and_its_meaning_in_one_line() -> None:
    error = refusal("Produce to a-0", 29)
    assert error.code == 29
    assert str(error).startswith("Kafka refuses Produce to a-0 with error 29: TOPIC_AUTHORIZATION_FAILED")
    assert "\n" not in str(error)


@pytest.mark.parametrize("code", [*ErrorCode, 999])
def test_a_code_that_the_client_has_no_name_for_is_reported_too(code: int) -> None:
    assert f"error {int(code)}:" in str(refusal("Produce", int(code)))
