"""The stream that a record's key names, in each key format."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from worker.errors import Reason, RecordError
from worker.payloads.payload import KeyFormat
from worker.records.types import MAX_NAME_CHARS
from worker.records.unicode import decode_utf8

MAX_UTF8_BYTES_PER_CHARACTER: Final = 4
_INT_BYTES, _LONG_BYTES, _UUID_BYTES = 4, 8, 16


def decode_stream_key(key: bytes | None, key_format: KeyFormat = "text") -> str:
    """The stream named by a record's key. Raises RecordError: NO_STREAM, INVALID_UTF8."""
    if not key:
        raise RecordError(Reason.NO_STREAM, "the record has no key, and its value names no stream")
    return _DECODERS[key_format](key)


def encode_stream_key(stream: str, key_format: KeyFormat) -> bytes:
    """The key that names `stream`. Raises RecordError: NO_STREAM when no key of the format does."""
    if not stream:
        raise RecordError(Reason.NO_STREAM, "an empty name names no stream")
    match key_format:
        case "text":
            return stream.encode()
        case "int" | "long":
            with _named(stream, key_format):
                return int(stream).to_bytes(_INT_BYTES if key_format == "int" else _LONG_BYTES, signed=True)
        case "uuid":
            with _named(stream, key_format):
                return str(uuid.UUID(stream)).encode()
        case "payload":
            raise RecordError(Reason.NO_STREAM, "the topic's keys name no streams (key format payload)")


@contextmanager
def _named(stream: str, key_format: KeyFormat) -> Iterator[None]:
    try:
        yield
    except (ValueError, OverflowError):
        message = f"no key of format {key_format} names the stream {stream!r}"
        raise RecordError(Reason.NO_STREAM, message) from None


def _decode_text(key: bytes) -> str:
    if len(key) > MAX_NAME_CHARS * MAX_UTF8_BYTES_PER_CHARACTER:
        raise RecordError(Reason.NO_STREAM, f"a key of {len(key)} bytes is too long to name a stream")
    try:
        return decode_utf8(key, "key")
    except RecordError as error:
        hint = "the topic's key_format can be int, long, uuid or payload"
        raise RecordError(error.reason, f"{error}; {hint}") from None


def _decode_int(key: bytes) -> str:
    return _decode_number(key, _INT_BYTES)


def _decode_long(key: bytes) -> str:
    return _decode_number(key, _LONG_BYTES)


def _decode_number(key: bytes, num_bytes: int) -> str:
    if len(key) != num_bytes:
        raise RecordError(Reason.NO_STREAM, f"a key of {len(key)} bytes is no number of {num_bytes}")
    return str(int.from_bytes(key, signed=True))


def _decode_uuid(key: bytes) -> str:
    """As 16 bytes, or as text (which Kafka's own serializer writes)."""
    try:
        return str(uuid.UUID(bytes=key) if len(key) == _UUID_BYTES else uuid.UUID(key.decode("ascii")))
    except ValueError:
        raise RecordError(Reason.NO_STREAM, "the key is no UUID, neither as 16 bytes nor as text") from None


def _no_stream(key: bytes) -> str:
    raise RecordError(Reason.NO_STREAM, "the value names no stream, and the topic's keys do not (key format payload)")


_DECODERS: Final[dict[KeyFormat, Callable[[bytes], str]]] = {
    "text": _decode_text,
    "int": _decode_int,
    "long": _decode_long,
    "uuid": _decode_uuid,
    "payload": _no_stream,
}
