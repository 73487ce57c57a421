"""From the bytes of a value to its payload, one function a format: what `Payload.format` can name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from worker.payloads.payload import Format
from worker.records.formats.avro import AvroDecoder
from worker.records.formats.confluent_json import decode_confluent_json
from worker.records.formats.json import decode_json
from worker.records.formats.protobuf import ProtobufDecoder
from worker.records.formats.text import decode_text
from worker.records.registry import Registry

Decode = Callable[[bytes], Any]
"""The payload of a value: what JSON can hold. Raises RecordError."""

_DECODERS: Final[dict[Format, Decode]] = {
    "json": decode_json,
    "text": decode_text,
    "confluent-json": decode_confluent_json,
}
_REGISTERED: Final[dict[Format, Callable[[Registry], Decode]]] = {"avro": AvroDecoder, "protobuf": ProtobufDecoder}


def make_decoder(format_: Format, registry: Registry) -> Decode:
    """The function of this format; only REGISTERED_FORMATS ask `registry`."""
    return _REGISTERED[format_](registry) if format_ in _REGISTERED else _DECODERS[format_]
