"""JSON as Confluent's JSON Schema serializer writes it, behind a frame. The schema itself is not asked for."""

from __future__ import annotations

from typing import Any

from worker.records.formats.frame import body_of
from worker.records.formats.json import decode_json


def decode_confluent_json(value: bytes) -> Any:
    """The payload; a value without a frame is read as well. Raises RecordError: INVALID_UTF8, INVALID_JSON."""
    return decode_json(body_of(value))
