"""Avro and Protobuf values: read by the schema of their frame, or refused as a mismatch."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest

from tests.servers.fake_registry import FakeRegistry
from tests.unit.records.registered.reviews import (
    AUTHOR,
    AUTHOR_PROTO,
    AVRO,
    NOW_MS,
    PROTO,
    avro_value,
    decode,
    proto_value,
    reason,
)
from worker.errors import Reason
from worker.records.codec import Codec
from worker.records.formats.frame import frame
from worker.records.proto_compiler import compile_proto
from worker.tools.payload_preview import split_values


def test_avro_is_read_by_the_schema_of_its_frame_and_what_that_refers_to(
    registry: FakeRegistry, make_codec: Callable[[str], Codec]
) -> None:
    registry.add(1, "AVRO", json.dumps(AUTHOR), subject="author")
    registry.add(2, "AVRO", json.dumps(AVRO), references=[("common.Author", "author")])
    found = decode(make_codec("avro"), avro_value(2))
    assert (found.text, found.stream, found.time_ms, found.fallbacks) == ("love it", "42", NOW_MS - 5, ())


def as_descriptor(text: str, imports: dict[str, str]) -> str:
    """The .proto file as Confluent's Python client registers it."""
    return base64.b64encode(compile_proto(text, imports).serialized_pb).decode()


@pytest.mark.parametrize("is_descriptor", [False, True])
@pytest.mark.parametrize("imports_descriptor", [False, True])
def test_protobuf_is_read_by_its_message_indexes_and_imports(
    registry: FakeRegistry, make_codec: Callable[[str], Codec], is_descriptor: bool, imports_descriptor: bool
) -> None:
    imports = {"common/author.proto": AUTHOR_PROTO}
    registry.add(
        1, "PROTOBUF", as_descriptor(AUTHOR_PROTO, {}) if imports_descriptor else AUTHOR_PROTO, subject="author"
    )
    text = as_descriptor(PROTO, imports) if is_descriptor else PROTO
    registry.add(2, "PROTOBUF", text, references=[("common/author.proto", "author")])
    found = decode(make_codec("protobuf"), proto_value(2))
    assert (found.text, found.stream, found.time_ms, found.final) == ("love it", "42", NOW_MS - 5, True)


@pytest.mark.parametrize("format_", ["avro", "protobuf"])
@pytest.mark.parametrize("body", [b"", b"\x07", b"\xff" * 12, b"\2\3", b"\0\xff\xff\xff"])
def test_bytes_that_do_not_fit_are_a_mismatch(
    registry: FakeRegistry, make_codec: Callable[[str], Codec], format_: str, body: bytes
) -> None:
    registry.add(1, "AVRO", json.dumps(AUTHOR | {"fields": [{"name": "id", "type": "string"}]}))
    registry.add(2, "PROTOBUF", 'syntax = "proto3"; message A { string body = 1; }')
    schema_id = 1 if format_ == "avro" else 2
    expected = {Reason.SCHEMA_MISMATCH}
    if format_ == "avro" and body == b"\2\3":
        body = b"\2a!"  # goes on behind the record
    if format_ == "protobuf" and body == b"":
        body = b"\x80"
    assert reason(make_codec(format_), frame(schema_id) + body) in expected


@pytest.mark.parametrize("format_", ["avro", "protobuf"])
def test_no_frame_another_kind_and_a_broken_schema_are_mismatches(
    registry: FakeRegistry, make_codec: Callable[[str], Codec], format_: str
) -> None:
    registry.add(1, "JSON", "{}")
    registry.add(2, format_.upper(), "nonsense")
    codec = make_codec(format_)
    for value in (b'{"body": "fine"}', b"", b"\0\0", frame(1) + b"\0", frame(2) + b"\0"):
        assert reason(codec, value) == Reason.SCHEMA_MISMATCH
    assert reason(codec, frame(3)) == reason(codec, b"\0\xff\xff\xff\xff\0") == Reason.UNKNOWN_SCHEMA


def test_a_file_of_a_binary_format_is_one_record() -> None:
    assert split_values(b"\0\0\0\0\n\x08a\nb", "avro") == [b"\0\0\0\0\n\x08a\nb"]
    assert split_values(b"a\n\nb\n", "text") == [b"a", b"b"]
