"""Events and shifts in the format of the setting `output_format`, and back.

All but plain JSON stand behind Confluent's frame, with the id of the schema that is registered under `<topic>-value`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any, Final

import msgspec

from worker.records.codec import encode
from worker.records.formats import Decode, make_decoder
from worker.records.formats.confluent_json import decode_confluent_json
from worker.records.formats.frame import frame
from worker.records.proto_compiler import compile_proto, message_class
from worker.records.registry import Kind, Registry
from worker.records.schemas import make_schema
from worker.records.schemas.avro_schemas import make_avro_schema
from worker.records.schemas.proto_schemas import make_proto_schema
from worker.records.types import SentimentEvent, ShiftEvent
from worker.settings import Settings

Event = SentimentEvent | ShiftEvent
Serialize = Callable[[Event], bytes]
CONTENT_TYPES: Final = {
    "json": b"application/json",
    "avro": b"application/avro",
    "protobuf": b"application/protobuf",
    "json-schema": b"application/json",
}
_PUBLISHED: Final[dict[type[Event], str]] = {SentimentEvent: "event", ShiftEvent: "shift"}


class OutputEncoder:
    """Encodes events and shifts. The first of each kind registers its schema, unless `register` has."""

    def __init__(self, settings: Settings) -> None:
        self._format = settings.output_format
        self._topics: dict[type[Event], str] = {
            SentimentEvent: settings.events_topic,
            ShiftEvent: settings.shifts_topic,
        }
        self._registry = Registry(settings)
        self._serializers: dict[type[Event], Serialize] = {}

    def register(self) -> None:
        """Register the schemas of all kinds. Blocks. Raises DependencyError, also where a schema is incompatible."""
        for kind in _PUBLISHED:
            self._serializer(kind)

    def encode(self, event: Event) -> bytes:
        """The value of the event's record. Raises DependencyError as `register`."""
        return self._serializer(type(event))(event)

    def _serializer(self, kind: type[Event]) -> Serialize:
        if kind not in self._serializers:
            self._serializers[kind] = encode if self._format == "json" else self._registered(kind)
        return self._serializers[kind]

    def _registered(self, kind: type[Event]) -> Serialize:
        schema_kind, text, serialize = _MAKERS[self._format](kind)
        prefix = frame(self._registry.register(f"{self._topics[kind]}-value", schema_kind, text))
        return lambda event: prefix + serialize(event)


def output_reader(settings: Settings, kind: type[Event]) -> Callable[[bytes], bytes]:
    """The function from the value of an event's record to plain JSON. It raises RecordError and DependencyError."""
    decode: Decode
    match settings.output_format:
        case "json":
            return lambda value: value
        case "json-schema":
            decode = decode_confluent_json
        case "avro" | "protobuf" as name:
            decode = make_decoder(name, Registry(settings))
    return lambda value: msgspec.json.encode(msgspec.convert(_with_nulls(decode(value)), kind, strict=False))


def _with_nulls(payload: Any) -> Any:
    """The payload with the only field that may be null, which Protobuf leaves out then."""
    state = payload.get("state") if isinstance(payload, dict) else None
    if isinstance(state, dict):
        state.setdefault("reset", None)
    return payload


def _make_avro(kind: type[Event]) -> tuple[Kind, str, Serialize]:
    import fastavro  # noqa: PLC0415 - the extra `registry`

    text = make_avro_schema(kind)
    schema = fastavro.parse_schema(json.loads(text))

    def serialize(event: Event) -> bytes:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, schema, msgspec.to_builtins(event))
        return out.getvalue()

    return "AVRO", text, serialize


def _make_protobuf(kind: type[Event]) -> tuple[Kind, str, Serialize]:
    from google.protobuf import json_format  # noqa: PLC0415 - the extra `registry`

    text = make_proto_schema(kind)
    message = message_class(compile_proto(text, {}), [0])

    def serialize(event: Event) -> bytes:
        # a zero byte in place of the list of message indexes: the first message of the file
        made: Any = json_format.ParseDict(msgspec.to_builtins(event), message())
        return b"\0" + bytes(made.SerializeToString())

    return "PROTOBUF", text, serialize


def _make_json_schema(kind: type[Event]) -> tuple[Kind, str, Serialize]:
    # Draft 7, in which it means the same: Apicurio compares no later drafts.
    schema = make_schema(_PUBLISHED[kind]) | {"$schema": "http://json-schema.org/draft-07/schema#"}
    return "JSON", json.dumps(schema), encode


_MAKERS: Final[dict[str, Callable[[type[Event]], tuple[Kind, str, Serialize]]]] = {
    "avro": _make_avro,
    "protobuf": _make_protobuf,
    "json-schema": _make_json_schema,
}
