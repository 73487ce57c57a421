"""UTF-8 in the bytes of a record."""

from __future__ import annotations

from worker.errors import Reason, RecordError


def decode_utf8(data: bytes, name: str) -> str:
    """The text of `data`, which is called `name` in the message. Raises RecordError: INVALID_UTF8."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise RecordError(Reason.INVALID_UTF8, f"byte {error.start} of the {name} is not UTF-8") from None
