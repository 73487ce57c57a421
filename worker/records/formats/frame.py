"""The frame of Confluent's serializers: a zero byte and the number of a schema in four bytes, before the value."""

from __future__ import annotations

from typing import Final

MAGIC: Final = b"\0"
_FRAME_BYTES: Final = 5


def unframe(value: bytes) -> bytes:
    """What follows the frame."""
    return value[_FRAME_BYTES:]
