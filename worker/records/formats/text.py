"""The value is the text."""

from __future__ import annotations

from typing import Any

from worker.records.unicode import require_text


def decode_text(value: bytes) -> Any:
    """The payload, whose only field is `text`. Raises RecordError: INVALID_UTF8."""
    return {"text": require_text(value).removeprefix("\ufeff")}
