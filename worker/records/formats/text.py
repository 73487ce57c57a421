"""The value is the text."""

from __future__ import annotations

from typing import Any

from worker.records.formats.json import BYTE_ORDER_MARK
from worker.records.utf8 import decode_utf8


def decode_text(value: bytes) -> Any:
    """The payload, whose only field is `text`. Raises RecordError: INVALID_UTF8."""
    return {"text": decode_utf8(value.removeprefix(BYTE_ORDER_MARK), "value")}
