"""JSON as Confluent's JSON Schema serializer writes it, behind a frame. The schema itself is not asked for."""

from __future__ import annotations

from typing import Any

from worker.errors import RecordError
from worker.records.formats.beginnings import describe_beginning
from worker.records.formats.frame import body_of, is_framed
from worker.records.formats.json import decode_json


def decode_confluent_json(value: bytes) -> Any:
    """The payload; a value without a frame is read as well. Raises RecordError: INVALID_UTF8, INVALID_JSON."""
    try:
        return decode_json(body_of(value))
    except RecordError as error:
        hint = describe_beginning(value) if is_framed(value) else ""
        raise RecordError(error.reason, f"{error}{hint}") from None
