"""The frame of Confluent's serializers: a zero byte and the number of a schema in four bytes, before the value."""

from __future__ import annotations

from typing import Final

from worker.errors import Reason, RecordError
from worker.records.unicode import encoding_without_mark

MAGIC: Final = b"\0"
_FRAME_BYTES: Final = 5
_LONG_FRAME_BYTES: Final = 9
_GLUE: Final = b"\x03\x00"  # version 3, not compressed; a UUID follows
_GLUE_BYTES: Final = 18
_JSON_BEGINS: Final = (b"{", b"[")


def frame(schema_id: int) -> bytes:
    """The frame of a value of this schema."""
    return MAGIC + schema_id.to_bytes(4, "big")


def unframe(value: bytes) -> bytes:
    """What follows the frame."""
    return value[_FRAME_BYTES:]


def body_of(value: bytes) -> bytes:
    """What follows the frame; the value itself where it has none. JSON in UTF-16 may begin with a zero byte, too.

    JSON behind ids of eight bytes (Apicurio) and behind the header of AWS Glue's registry is found as well.
    """
    if value[:1] == MAGIC and not encoding_without_mark(value):
        has_long_id = value[1:_FRAME_BYTES] == b"\0\0\0\0" and value[_LONG_FRAME_BYTES:][:1] in _JSON_BEGINS
        return value[_LONG_FRAME_BYTES:] if has_long_id else unframe(value)
    is_of_glue = value[:2] == _GLUE and value[_GLUE_BYTES:][:1] in _JSON_BEGINS
    return value[_GLUE_BYTES:] if is_of_glue else value


def is_framed(value: bytes) -> bool:
    """Whether the value has a frame."""
    return value[:1] == MAGIC and len(value) >= _FRAME_BYTES


def schema_id_of(value: bytes) -> int:
    """The number in the frame. Raises RecordError: SCHEMA_MISMATCH."""
    if not is_framed(value):
        message = "the value does not begin with Confluent's frame: a zero byte and the id of a schema"
        raise RecordError(Reason.SCHEMA_MISMATCH, message)
    return int.from_bytes(value[1:_FRAME_BYTES], "big")
