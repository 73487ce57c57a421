"""Reviews in Avro and Protobuf with the schemas that they refer to, and what is read of such a value."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import pytest

from worker.errors import RecordError
from worker.records.codec import Codec
from worker.records.formats.frame import frame
from worker.records.proto_compiler import compile_proto, message_class
from worker.records.types import InputText

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
    written: bytes = message.SerializeToString()
    # two indexes, 1 and 0, as zigzag varints
    return frame(schema_id) + bytes([4, 2, 0]) + written


def decode(codec: Codec, value: bytes) -> InputText:
    found = codec.decode("t", None, value, 0, 0, NOW_MS)
    assert isinstance(found, InputText)
    return found


def reason(codec: Codec, value: bytes) -> str:
    with pytest.raises(RecordError) as caught:
        decode(codec, value)
    return caught.value.reason
