"""Values and schemas that would do harm: of any depth, of lengths only claimed, of false names."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.servers.fake_registry import FakeRegistry
from tests.unit.records.registered.reviews import AUTHOR, AUTHOR_PROTO, NOW_MS, PROTO, decode, proto_value, reason
from worker.errors import Reason, RecordError
from worker.records.codec import Codec
from worker.records.formats.frame import frame

LIST = {
    "type": "record",
    "name": "Node",
    "fields": [{"name": "body", "type": "string"}, {"name": "next", "type": ["null", "Node"]}],
}


def nested(depth: int) -> bytes:
    return frame(7) + b"\x02a\x02" * depth + b"\x02a\x00"


def test_a_recursive_value_is_read_and_one_of_any_depth_is_refused(
    registry: FakeRegistry, make_codec: Callable[[str], Codec]
) -> None:
    registry.add(7, "AVRO", json.dumps(LIST))
    codec = make_codec("avro")
    assert codec.decode("t", b"k", nested(100), 0, 0, NOW_MS).text == "a"  # type: ignore[union-attr]
    for depth in (600, 3_000, 300_000):  # the last overflows the stack of fastavro's compiled reader
        assert reason(codec, nested(depth)) == Reason.SCHEMA_MISMATCH


EMPTY_RECORD = {"type": "record", "name": "Empty", "fields": [{"name": "none", "type": "null"}]}


@pytest.mark.parametrize(
    "items",
    [
        "null",
        {"type": "null"},
        EMPTY_RECORD,
        {"type": "fixed", "name": "None", "size": 0},
        {"type": "array", "items": "null"},
    ],
    ids=str,
)
def test_an_array_whose_items_take_no_bytes_is_refused(
    registry: FakeRegistry, make_codec: Callable[[str], Codec], items: Any
) -> None:
    fields = [{"name": "body", "type": "string"}, {"name": "many", "type": {"type": "array", "items": items}}]
    registry.add(7, "AVRO", json.dumps({"type": "record", "name": "Review", "fields": fields}))
    claim = b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"  # of 2**62 items
    assert reason(make_codec("avro"), frame(7) + b"\x02a" + claim) == Reason.SCHEMA_MISMATCH


def test_an_array_of_records_of_another_schema_is_read(
    registry: FakeRegistry, make_codec: Callable[[str], Codec]
) -> None:
    named = [AUTHOR, {"type": "array", "items": "common.Author"}]
    fields = [
        {"name": "body", "type": "string"},
        {"name": "first", "type": named[0]},
        {"name": "all", "type": named[1]},
    ]
    registry.add(7, "AVRO", json.dumps({"type": "record", "name": "Review", "fields": fields}))
    value = frame(7) + b"\x02a" + b"\x02" + b"\x04\x02\x04\x00"
    assert make_codec("avro").decode("t", b"k", value, 0, 0, NOW_MS).text == "a"  # type: ignore[union-attr]


@pytest.mark.parametrize("length", [b"\xfe\xff\xff\xff\x0f", b"\xfe" + b"\xff" * 8 + b"\x01", b"\x01"])
def test_a_length_that_is_only_claimed_takes_no_memory(
    registry: FakeRegistry, make_codec: Callable[[str], Codec], length: bytes
) -> None:
    registry.add(7, "AVRO", json.dumps(LIST))
    registry.add(8, "PROTOBUF", 'syntax = "proto3"; message A { string body = 1; }')
    assert reason(make_codec("avro"), frame(7) + length) == Reason.SCHEMA_MISMATCH
    assert reason(make_codec("protobuf"), frame(8) + b"\0\x0a" + b"\xff\xff\xff\xff\x07") == Reason.SCHEMA_MISMATCH


def test_a_message_index_without_an_end_is_refused_at_its_eleventh_byte(
    registry: FakeRegistry, make_codec: Callable[[str], Codec]
) -> None:
    registry.add(8, "PROTOBUF", 'syntax = "proto3"; message A { string body = 1; }')
    codec = make_codec("protobuf")
    with pytest.raises(RecordError, match="more than ten bytes"):
        decode(codec, frame(8) + b"\xff" * 900_000)


@pytest.mark.parametrize(
    "text",
    ["message A { " * 50_000 + "}" * 50_000, 'syntax = "proto3"; message A { string a = 1 [(x) = ' + "{a:" * 50_000],
)
def test_a_protobuf_schema_of_any_depth_is_refused(
    registry: FakeRegistry, make_codec: Callable[[str], Codec], text: str
) -> None:
    registry.add(8, "PROTOBUF", text)
    assert reason(make_codec("protobuf"), frame(8) + b"\0") == Reason.SCHEMA_MISMATCH


@pytest.mark.parametrize("name", ["x" * 5000, "", "../../etc/passwd", "/etc/passwd", "a\0b", "value.proto/x"])
def test_an_import_whose_name_is_that_of_no_file_is_refused(
    registry: FakeRegistry, make_codec: Callable[[str], Codec], name: str
) -> None:
    registry.add(1, "PROTOBUF", AUTHOR_PROTO, subject="author")
    registry.add(2, "PROTOBUF", PROTO, references=[(name, "author")])
    assert reason(make_codec("protobuf"), proto_value(2)) == Reason.SCHEMA_MISMATCH
