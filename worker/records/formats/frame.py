"""The frame of Confluent's serializers: a zero byte and the number of a schema in four bytes, before the value."""

from __future__ import annotations

from typing import Final

from worker.errors import Reason, RecordError
from worker.records.unicode import utf16_without_mark

MAGIC: Final = b"\0"
_FRAME_BYTES: Final = 5


def frame(schema_id: int) -> bytes:
    """The frame of a value of this schema."""
    return MAGIC + schema_id.to_bytes(4, "big")


def unframe(value: bytes) -> bytes:
    """What follows the frame."""
    return value[_FRAME_BYTES:]


def body_of(value: bytes) -> bytes:
    """What follows the frame; the value itself where it has none. JSON in UTF-16 may begin with a zero byte, too."""
    return unframe(value) if value[:1] == MAGIC and not utf16_without_mark(value) else value


def is_framed(value: bytes) -> bool:
    """Whether the value has a frame."""
    return value[:1] == MAGIC and len(value) >= _FRAME_BYTES


def schema_id_of(value: bytes) -> int:
    """The number in the frame. Raises RecordError: SCHEMA_MISMATCH."""
    if not is_framed(value):
        message = "the value does not begin with Confluent's frame: a zero byte and the id of a schema"
        raise RecordError(Reason.SCHEMA_MISMATCH, message)
    return int.from_bytes(value[1:_FRAME_BYTES], "big")
