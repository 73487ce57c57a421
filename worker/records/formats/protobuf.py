"""Protobuf behind Confluent's frame, whose message the registered .proto file defines (extra `registry`)."""

from __future__ import annotations

from typing import Any

from worker.errors import Reason, RecordError
from worker.records.formats.frame import schema_id_of, unframe
from worker.records.proto_compiler import ProtoError, compile_proto, message_class
from worker.records.registry import RegisteredSchema, Registry

_MAX_DEPTH = 32
_MAX_VARINT_BITS = 70


class ProtobufDecoder:
    """Decodes values of one topic. Field names are those of the .proto file, 64-bit integers are texts, as in the
    JSON form of Protobuf; a field without presence has its zero value where it is missing.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._files: dict[int, Any] = {}

    def __call__(self, value: bytes) -> Any:
        """The payload. Raises RecordError: UNKNOWN_SCHEMA, SCHEMA_MISMATCH; DependencyError as `Registry.schema`."""
        from google.protobuf import json_format  # noqa: PLC0415 - the extra `registry`

        schema_id = schema_id_of(value)
        if schema_id not in self._files:
            self._files[schema_id] = _compile(self._registry.schema(schema_id))
        try:
            indexes, body = _split_indexes(unframe(value))
            message = message_class(self._files[schema_id], indexes)()
            message.ParseFromString(body)
            return json_format.MessageToDict(
                message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
            )
        except Exception as error:  # protobuf raises errors of several kinds for bytes of another schema
            text = f"the value does not fit Protobuf schema {schema_id} ({type(error).__name__}: {error})"
            raise RecordError(Reason.SCHEMA_MISMATCH, text) from None


def _compile(schema: RegisteredSchema) -> Any:
    if schema.kind != "PROTOBUF":
        raise RecordError(Reason.SCHEMA_MISMATCH, f"schema {schema.id} is of kind {schema.kind}, not PROTOBUF")
    try:
        return compile_proto(schema.text, dict(schema.references))
    except ProtoError as error:
        raise RecordError(Reason.SCHEMA_MISMATCH, f"schema {schema.id} cannot be compiled: {error}") from None


def _split_indexes(data: bytes) -> tuple[list[int], bytes]:
    """The path of the message in its file, and the message. A single zero stands for the first message."""
    count, place = _read_zigzag(data, 0)
    if not 0 <= count <= _MAX_DEPTH:
        raise ValueError(f"{count} message indexes")
    indexes = []
    for _ in range(count):
        index, place = _read_zigzag(data, place)
        indexes.append(index)
    return indexes or [0], data[place:]


def _read_zigzag(data: bytes, place: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[place]
        number |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if shift > _MAX_VARINT_BITS:
            raise ValueError("a message index of more than ten bytes")
        if byte < 0x80:
            return number >> 1 ^ -(number & 1), place
