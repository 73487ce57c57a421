"""A stream is named by a key of its topic's format, and found again by the key that is made of it."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import Reason, RecordError
from worker.payloads.payload import KeyFormat
from worker.records.codec import Codec
from worker.records.keys import decode_stream_key, encode_stream_key
from worker.records.types import InputText, Skipped
from worker.settings import Settings

NOW_MS = 1_795_000_000_000
ID = uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")


@pytest.mark.parametrize(
    ("key_format", "key", "stream"),
    [
        ("text", "@acmé".encode(), "@acmé"),
        ("int", b"\x00\x00\x00\x07", "7"),
        ("int", b"\xff\xff\xff\xfe", "-2"),
        ("long", b"\x00\x00\x00\x01\x00\x00\x00\x00", "4294967296"),
        ("uuid", ID.bytes, str(ID)),
        ("uuid", str(ID).upper().encode(), str(ID)),
    ],
)
def test_a_key_names_its_stream(key_format: KeyFormat, key: bytes, stream: str) -> None:
    assert decode_stream_key(key, key_format) == stream


@pytest.mark.parametrize(
    ("key_format", "key", "reason"),
    [
        ("text", b"\xff", Reason.INVALID_UTF8),
        ("int", b"7", Reason.NO_STREAM),
        ("long", b"\x00\x00\x00\x07", Reason.NO_STREAM),
        ("uuid", b"seven", Reason.NO_STREAM),
        ("uuid", b"\xff" * 5, Reason.NO_STREAM),
        ("payload", b"7", Reason.NO_STREAM),
        ("int", None, Reason.NO_STREAM),
    ],
)
def test_a_key_of_another_format_names_none(key_format: KeyFormat, key: bytes | None, reason: Reason) -> None:
    with pytest.raises(RecordError) as caught:
        decode_stream_key(key, key_format)
    assert caught.value.reason == reason


@given(st.integers(-(2**63), 2**63 - 1), st.uuids(), st.text(min_size=1, max_size=20))
def test_the_key_of_a_stream_names_it(number: int, identity: uuid.UUID, name: str) -> None:
    streams: tuple[tuple[KeyFormat, str], ...] = (("text", name), ("long", str(number)), ("uuid", str(identity)))
    for key_format, stream in streams:
        assert decode_stream_key(encode_stream_key(stream, key_format), key_format) == stream


@pytest.mark.parametrize(
    ("key_format", "stream"), [("int", "acme"), ("int", "9" * 12), ("uuid", "7"), ("payload", "a")]
)
def test_a_stream_that_no_key_can_name_is_refused(key_format: KeyFormat, stream: str) -> None:
    with pytest.raises(RecordError):
        encode_stream_key(stream, key_format)


def test_the_key_format_of_a_topic_counts_where_the_payload_names_no_stream() -> None:
    codec = Codec(Settings(topics=("t",), payloads={"t": {"key_format": "int"}}))
    found = codec.decode("t", b"\x00\x00\x00\x07", b'{"text": "fine"}', 0, 0, NOW_MS)
    assert isinstance(found, InputText)
    assert found.stream == "7"
    assert codec.erased_stream("t", b"\x00\x00\x00\x07") == "7"


def test_a_null_value_is_skipped_where_its_topic_says_so() -> None:
    codec = Codec(Settings(topics=("t", "u"), payloads={"t": {"null_values": "skip"}}))
    assert codec.erased_stream("t", None) == Skipped("the value is null")
    assert codec.erased_stream("u", b"acme") == "acme"


@pytest.mark.parametrize("key_format", ["text", "int", "long", "uuid"])
def test_an_empty_name_has_no_key(key_format: KeyFormat) -> None:
    with pytest.raises(RecordError, match="an empty name names no stream"):
        encode_stream_key("", key_format)
