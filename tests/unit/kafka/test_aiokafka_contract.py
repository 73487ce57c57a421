"""The parts of aiokafka below its own producer that the worker calls: an upgrade that changes one fails here.

They are public by name, and documented nowhere. What the record builder makes is read back in
producers/test_producer.py.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, errors
from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError, for_code
from aiokafka.partitioner import murmur2
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    InitProducerIdRequest,
)
from aiokafka.protocol.types import CompactArray, CompactString, Int32, Schema, TaggedFields
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from worker.kafka.protocol.codes import ErrorCode

# Owner, name, and the parameters that it has.
METHODS: tuple[tuple[type, str, str], ...] = (
    (AIOKafkaClient, "bootstrap", "self"),
    (AIOKafkaClient, "close", "self"),
    (AIOKafkaClient, "get_random_node", "self"),
    (AIOKafkaClient, "send", "self, node_id, request, group"),
    (AIOKafkaClient, "coordinator_lookup", "self, coordinator_type, coordinator_key"),
    (AIOKafkaClient, "add_topic", "self, topic"),
    (AIOKafkaClient, "force_metadata_update", "self"),
    (AIOKafkaClient, "fetch_all_metadata", "self"),
    (ClusterMetadata, "brokers", "self"),
    (ClusterMetadata, "leader_for_partition", "self, partition"),
    (ClusterMetadata, "partitions_for_topic", "self, topic"),
    (ClusterMetadata, "topics", "self, exclude_internal_topics"),
    (AIOKafkaConsumer, "assignment", "self"),
    (AIOKafkaConsumer, "highwater", "self, partition"),
    (AIOKafkaConsumer, "pause", "self, partitions"),
    (AIOKafkaConsumer, "paused", "self"),
    (AIOKafkaConsumer, "position", "self, partition"),
    (AIOKafkaConsumer, "resume", "self, partitions"),
    (AIOKafkaConsumer, "seek", "self, partition, offset"),
    (AIOKafkaConsumer, "topics", "self"),
    (Request, "prepare", "self, versions"),
    (Request, "build", "self, request_struct_class"),
    (InitProducerIdRequest, "__init__", "self, transactional_id, transaction_timeout_ms"),
    (AddPartitionsToTxnRequest, "__init__", "self, transactional_id, producer_id, producer_epoch, topics"),
    (AddOffsetsToTxnRequest, "__init__", "self, transactional_id, producer_id, producer_epoch, group_id"),
    (EndTxnRequest, "__init__", "self, transactional_id, producer_id, producer_epoch, transaction_result"),
    (ProduceRequest, "__init__", "self, transactional_id, required_acks, timeout, topics"),
    (OffsetRequest, "__init__", "self, replica_id, isolation_level, topics"),
    (HeartbeatRequest, "__init__", "self, group, generation_id, member_id"),
    (
        OffsetCommitRequest,
        "__init__",
        "self, consumer_group, consumer_group_generation_id, consumer_id, retention_time, topics",
    ),
)
# A request, and the fields of its answer that are read.
ANSWERS: tuple[tuple[Request[Any], set[str]], ...] = (
    (InitProducerIdRequest("t", 1), {"error_code", "producer_id", "producer_epoch"}),
    (AddPartitionsToTxnRequest("t", 1, 0, []), {"errors"}),
    (AddOffsetsToTxnRequest("t", 1, 0, "g"), {"error_code"}),
    (EndTxnRequest("t", 1, 0, True), {"error_code"}),
    (ProduceRequest("t", -1, 1, []), {"topics"}),
    (OffsetRequest(-1, 0, []), {"topics"}),
    (HeartbeatRequest("g", 1, "m"), {"error_code"}),
    (OffsetCommitRequest("g", 1, "m", -1, []), {"topics"}),
)


@pytest.mark.parametrize(("owner", "name", "parameters"), METHODS, ids=lambda value: getattr(value, "__name__", value))
def test_a_method_still_takes_what_it_is_called_with(owner: type, name: str, parameters: str) -> None:
    assert ", ".join(inspect.signature(getattr(owner, name)).parameters) == parameters


@pytest.mark.parametrize(("request_", "fields"), ANSWERS, ids=lambda value: type(value).__name__)
def test_an_answer_still_has_the_fields_that_are_read(request_: Request[Any], fields: set[str]) -> None:
    wire = request_.prepare({request_.API_KEY: (0, 99)})
    assert fields <= set(wire.RESPONSE_TYPE.SCHEMA.names)


def fields_of_partitions(request: Request[Any]) -> tuple[str, ...]:
    """Of an answer in the version that a recent broker has."""
    schema = request.prepare({request.API_KEY: (0, 99)}).RESPONSE_TYPE.SCHEMA
    topics = schema.fields[schema.names.index("topics")]
    partitions = topics.array_of.fields[1]
    return tuple(partitions.array_of.names)


def test_the_partitions_of_an_answer_still_have_their_order() -> None:
    assert fields_of_partitions(ProduceRequest("t", -1, 1, []))[:2] == ("partition", "error_code")
    assert fields_of_partitions(OffsetRequest(-1, 0, []))[:4] == ("partition", "error_code", "timestamp", "offset")
    assert fields_of_partitions(OffsetCommitRequest("g", 1, "m", -1, [])) == ("partition", "error_code")


def test_requests_are_still_made_of_these_classes() -> None:
    assert {"API_KEY", "API_VERSION", "RESPONSE_TYPE", "SCHEMA"} <= set(RequestStruct.__annotations__)
    assert hasattr(RequestStruct, "FLEXIBLE_VERSION")
    assert issubclass(Response, object)
    schema = Schema(("a", CompactArray(("b", CompactString("utf-8")), ("c", Int32))), ("tags", TaggedFields))
    assert schema.encode([[("x", 1)], {}]) == b"\x02\x02x\x00\x00\x00\x01\x00"


def test_coordinators_are_still_of_two_kinds_and_have_a_connection_of_their_own() -> None:
    assert CoordinationType.GROUP != CoordinationType.TRANSACTION
    assert ConnectionGroup.COORDINATION != ConnectionGroup.DEFAULT


def test_errors_still_say_whether_asking_again_may_help() -> None:
    assert KafkaError.retriable is False
    passing = (
        errors.KafkaConnectionError,
        errors.NodeNotReadyError,
        errors.RequestTimedOutError,
        errors.StaleMetadata,
        errors.GroupCoordinatorNotAvailableError,
    )
    assert all(error.retriable for error in passing)
    assert not errors.GroupAuthorizationFailedError.retriable


@pytest.mark.parametrize("code", [code for code in ErrorCode if code not in {78, 82, 88, 90, 100}])
def test_a_code_still_has_its_name(code: ErrorCode) -> None:
    assert for_code(code).errno == code


def test_a_fetch_still_tells_what_it_cannot_do_by_these_errors() -> None:
    tp = ("tweets", 0)
    assert OffsetOutOfRangeError({tp: 3}).args[0] == {tp: 3}
    assert issubclass(NoOffsetForPartitionError, KafkaError)


def test_keys_are_still_hashed_as_kafkas_clients_do() -> None:
    # From the tests of Kafka's own clients.
    assert murmur2(b"21") & 0xFFFFFFFF == (-973932308) & 0xFFFFFFFF
    assert murmur2(b"foobar") & 0xFFFFFFFF == (-790332482) & 0xFFFFFFFF


def test_a_record_that_does_not_fit_a_batch_is_still_refused_by_it_unless_it_is_the_first() -> None:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=True,
        producer_id=1,
        producer_epoch=0,
        base_sequence=0,
        batch_size=100,
    )
    record = {"timestamp": None, "key": b"k", "value": b"x" * 200, "headers": []}
    assert builder.append(0, **record) is not None
    assert builder.append(1, **record) is None
