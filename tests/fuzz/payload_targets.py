"""What producers and the schema registry send: payloads of every format, schemas, headers and batches."""

from __future__ import annotations

import io
import json
import struct
from typing import Any, Final

from aiokafka.consumer import fetcher
from aiokafka.errors import UnsupportedCodecError

from worker.errors import Reason, RecordError, UnreadableBatchError
from worker.kafka.protocol.batches import unpacking_batch
from worker.kafka.protocol.offsets import OffsetFetchResponse, TxnOffsetCommitResponse
from worker.kafka.protocol.topics import MetadataResponse
from worker.kafka.protocol.transactions import DescribeTransactionsResponse, ListTransactionsResponse
from worker.payloads.presets import PRESETS
from worker.records.codec import Codec
from worker.records.formats.avro import AvroDecoder
from worker.records.formats.frame import frame
from worker.records.formats.protobuf import ProtobufDecoder
from worker.records.headers import (
    MAX_DEADLETTER_BYTES,
    deadletter_headers,
    fit_original,
    read_deadletter_headers,
    redriven_headers,
)
from worker.records.registry import RegisteredSchema
from worker.records.types import MAX_NAME_CHARS, Header, InputText, content_bytes
from worker.settings import load_settings

NOW_MS: Final = 1_795_000_000_000
_FORMATS: Final = ("json", "text", "confluent-json", *PRESETS)
_TOPICS: Final = tuple(name.replace(".", "_") for name in _FORMATS)
_SETTINGS: Final = load_settings(
    topics=_TOPICS, payloads=dict(zip(_TOPICS, _FORMATS, strict=True)), max_text_bytes=1000
)
_CODEC: Final = Codec(_SETTINGS)

AVRO: Final = {
    "type": "record",
    "name": "Node",
    "fields": [
        {"name": "text", "type": ["null", "string", "bytes"]},
        {"name": "at", "type": ["null", {"type": "int", "logicalType": "date"}]},
        {"name": "tags", "type": {"type": "array", "items": "double"}},
        {"name": "more", "type": {"type": "map", "values": ["null", "Node"]}},
    ],
}
PROTO: Final = """
syntax = "proto3";
import "google/protobuf/any.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
message A {
  string text = 1; A next = 2; repeated double d = 3; map<string, int64> m = 4; google.protobuf.Any any = 5;
  google.protobuf.Struct free = 6; google.protobuf.Timestamp at = 7; bytes raw = 8;
  message B { enum E { ZERO = 0; } E e = 1; }
}
"""


class _Registry:
    """Has one schema for every id."""

    def __init__(self, kind: Any, text: str) -> None:
        self._kind, self._text = kind, text

    def schema(self, schema_id: int) -> RegisteredSchema:
        """The schema, under any id."""
        return RegisteredSchema(schema_id, self._kind, self._text, ())


def _avro(text: str) -> AvroDecoder:
    registry: Any = _Registry("AVRO", text)
    return AvroDecoder(registry)


_protobuf_registry: Any = _Registry("PROTOBUF", PROTO)
_PROTOBUF: Final = ProtobufDecoder(_protobuf_registry)
_AVRO: Final = _avro(json.dumps(AVRO))


def payload(data: bytes) -> None:
    """The first byte chooses the payload; then come the length of the key, the key, and the value."""
    topic = _TOPICS[data[0] % len(_TOPICS)] if data else _TOPICS[0]
    key_end = 2 + (data[1] if len(data) > 1 else 0)
    try:
        found = _CODEC.decode(topic, data[2:key_end], data[key_end:], 0, 7, NOW_MS)
    except RecordError as error:
        str(error).encode("utf-8", "backslashreplace")
        return
    if isinstance(found, InputText):
        assert len(found.text.encode()) <= _SETTINGS.max_text_bytes
        for name in (found.stream, found.record_id):
            assert 0 < len(name) <= MAX_NAME_CHARS
            name.encode()


def avro_value(data: bytes) -> None:
    """A value of a recursive schema."""
    _read(_AVRO, data)


def protobuf_value(data: bytes) -> None:
    """Message indexes, and a value of a schema with messages of every kind."""
    _read(_PROTOBUF, data)


def avro_schema(data: bytes) -> None:
    """A schema, and behind the first NUL a value that claims to be of it."""
    text, _, value = data.partition(b"\0")
    _read(_avro(text.decode(errors="replace")), value)


def _read(decode: Any, value: bytes) -> None:
    try:
        json.dumps(decode(frame(1) + value), ensure_ascii=False).encode("utf-8", "surrogatepass")
    except RecordError:
        return


def headers(data: bytes) -> None:
    """Names and values, alternately, behind NULs: of a record, and so of its dead letter and its redrive."""
    parts = [part.decode(errors="backslashreplace") for part in data.split(b"\0")]
    given: list[Header] = [(name, text.encode()) for name, text in zip(parts[::2], parts[1::2], strict=False)]
    error = RecordError(Reason.WRONG_TYPE, "wrong")
    original = fit_original(b"key", data, given)
    assert content_bytes(original.key, original.value, original.headers) <= max(MAX_DEADLETTER_BYTES, len(data))
    written = deadletter_headers(original.headers, error, "tweets", 0, 7, NOW_MS, original.cut_from)
    assert read_deadletter_headers(written) is not None
    read_deadletter_headers(given)
    assert redriven_headers(written, 1)[-1][1] == b"1"


def batch(data: bytes) -> None:
    """Batches of records as a broker sends them."""
    try:
        with unpacking_batch("tweets-0", "none"):
            records = fetcher.MemoryRecords(data)
            while records.has_next():
                found = records.next_batch()
                for record in found if found is not None else ():
                    content_bytes(record.key, record.value, record.headers)
    except (UnreadableBatchError, UnsupportedCodecError):
        return


_RESPONSES: Final = (
    OffsetFetchResponse,
    TxnOffsetCommitResponse,
    MetadataResponse,
    ListTransactionsResponse,
    DescribeTransactionsResponse,
)


def response(data: bytes) -> None:
    """An answer of a broker; the first byte chooses the request. aiokafka closes the connection at an error."""
    kind: Any = _RESPONSES[data[0] % len(_RESPONSES)] if data else _RESPONSES[0]
    try:
        kind.decode(io.BytesIO(data[1:]))
    except (ValueError, IndexError, TypeError, struct.error):  # aiokafka's readers have no base of their errors
        return
