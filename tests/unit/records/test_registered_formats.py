"""Avro and Protobuf in: schemas by id, and what is wrong with a value as a dead letter's reason."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from typing import Any

import fastavro
import pytest

from tests.servers.fake_registry import FakeRegistry
from worker.errors import DependencyError, Reason, RecordError, SettingsError
from worker.records.codec import Codec
from worker.records.formats.frame import frame
from worker.records.proto_compiler import compile_proto, message_class
from worker.records.types import InputText
from worker.settings import load_settings
from worker.tools.payload_preview import split_values

NOW_MS = 1_795_000_000_000
TIME = {"type": "long", "logicalType": "timestamp-millis"}
AVRO = {
    "type": "record",
    "name": "Review",
    "fields": [
        {"name": "body", "type": ["null", "string"]},
        {"name": "at", "type": TIME},
        {"name": "author", "type": "common.Author"},
    ],
}
AUTHOR = {"type": "record", "name": "common.Author", "fields": [{"name": "id", "type": "long"}]}
PROTO = """
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import "common/author.proto";
message Other { int64 id = 1; }
message Envelope {
  message Review { string body = 1; google.protobuf.Timestamp at = 2; common.Author author = 3; bool final = 4; }
}
"""
AUTHOR_PROTO = 'syntax = "proto3"; package common; message Author { int64 id = 1; }'
FIELDS = {"text": "body", "time": "at", "stream": "author.id"}


@pytest.fixture
def registry() -> Any:
    with FakeRegistry() as server:
        yield server


@pytest.fixture
def make_codec(registry: FakeRegistry) -> Callable[[str], Codec]:
    def make(format_: str) -> Codec:
        return Codec(
            load_settings(
                topics=("t",),
                payloads={"t": format_},
                fields={"t": FIELDS},
                registry=registry.url,
                request_timeout_s=1,
            )
        )

    return make


def avro_value(schema_id: int, **fields: Any) -> bytes:
    out = io.BytesIO()
    named: dict[str, Any] = {}
    fastavro.parse_schema(AUTHOR, named)
    record = {"body": "love it", "at": NOW_MS - 5, "author": {"id": 42}} | fields
    fastavro.schemaless_writer(out, fastavro.parse_schema(AVRO, named), record)
    return frame(schema_id) + out.getvalue()


def proto_value(schema_id: int) -> bytes:
    file = compile_proto(PROTO, {"common/author.proto": AUTHOR_PROTO})
    message = message_class(file, [1, 0])(body="love it", final=True)
    message.at.FromMilliseconds(NOW_MS - 5)
    message.author.id = 42
    # two indexes, 1 and 0, as zigzag varints
    return frame(schema_id) + bytes([4, 2, 0]) + message.SerializeToString()


def decode(codec: Codec, value: bytes) -> InputText:
    found = codec.decode("t", None, value, 0, 0, NOW_MS)
    assert isinstance(found, InputText)
    return found


def reason(codec: Codec, value: bytes) -> str:
    with pytest.raises(RecordError) as caught:
        decode(codec, value)
    return caught.value.reason


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


def test_a_schema_is_fetched_once_before_its_records_are_decoded(
    registry: FakeRegistry, make_codec: Callable[[str], Codec]
) -> None:
    registry.add(1, "AVRO", json.dumps(AUTHOR), subject="author")
    registry.add(2, "AVRO", json.dumps(AVRO), references=[("common.Author", "author")])
    codec = make_codec("avro")
    values = [avro_value(2), avro_value(2, body="fine"), None, b"{}", avro_value(7)]
    assert codec.missing_schemas("t", values) == {2, 7}
    codec.fetch_schemas({2, 7})
    assert codec.missing_schemas("t", values) == {7}
    asked = list(registry.asked)
    assert [decode(codec, value).text for value in (avro_value(2), avro_value(2, body="fine"))] == ["love it", "fine"]
    assert reason(codec, avro_value(7)) == Reason.UNKNOWN_SCHEMA
    assert registry.asked == asked, "decoding asks nobody"


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


def test_a_registry_that_is_away_is_named_and_is_no_dead_letter(make_codec: Callable[[str], Codec]) -> None:
    codec = Codec(
        load_settings(topics=("t",), payloads={"t": "avro"}, registry="http://127.0.0.1:9/apis", request_timeout_s=0.5)
    )
    for ask in (lambda: codec.fetch_schemas({1}), lambda: decode(codec, frame(1))):
        with pytest.raises(
            DependencyError, match=r"the schema registry at http://127.0.0.1:9/apis: it does not answer"
        ):
            ask()


def test_a_registry_that_fails_for_a_moment_is_asked_again(
    registry: FakeRegistry, make_codec: Callable[[str], Codec]
) -> None:
    registry.add(1, "AVRO", '{"type": "record", "name": "A", "fields": [{"name": "body", "type": "string"}]}')
    registry.answers_before = [503, 429]
    codec = make_codec("avro")
    codec.fetch_schemas({1})
    with pytest.raises(RecordError, match="no stream"):
        decode(codec, frame(1) + b"\x04ok")


@pytest.mark.parametrize(
    ("status", "match"), [(401, "it refuses"), (404, "it refuses"), (200, "is none of a registry")]
)
def test_an_answer_that_is_no_schema_ends_at_once(
    registry: FakeRegistry, make_codec: Callable[[str], Codec], status: int, match: str
) -> None:
    registry.answers_before = [status]
    with pytest.raises(DependencyError, match=match):
        make_codec("avro").fetch_schemas({1})
    assert len(registry.asked) == 1


@pytest.mark.parametrize(
    ("flags", "match"),
    [
        ({"payloads": {"tweets": "avro"}}, "format avro needs registry"),
        ({"output_format": "protobuf"}, "output_format protobuf needs registry"),
        ({"registry": "nonsense"}, "URL"),
        ({"registry_username": "alice"}, "registry_username and registry_password need each other"),
        ({"registry_ca_file": "/nowhere.pem"}, "registry_ca_file"),
        ({"output_format": "xml"}, "output_format"),
        ({"payloads": {"tweets": {"format": "thrift"}}}, "payloads"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_start(flags: dict[str, Any], match: str) -> None:
    with pytest.raises(SettingsError, match=match):
        load_settings(**flags)


def test_a_missing_extra_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.servers.fields.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"fastavro.*pip install '\.\[registry\]'"):
        load_settings(payloads={"tweets": "avro"}, registry="http://localhost:8081")


def test_a_file_of_a_binary_format_is_one_record() -> None:
    assert split_values(b"\0\0\0\0\n\x08a\nb", "avro") == [b"\0\0\0\0\n\x08a\nb"]
    assert split_values(b"a\n\nb\n", "text") == [b"a", b"b"]


# Values and schemas that would do harm

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
