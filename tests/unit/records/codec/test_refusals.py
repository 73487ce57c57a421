"""Records that are refused, each with its reason."""

import pytest

from tests.unit.records.codec.decoding import decode, outcome
from worker.errors import Reason, RecordError
from worker.records.keys import decode_stream_key
from worker.records.types import InputText


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b'{"text": "\xff"}', Reason.INVALID_UTF8),
        (b'{"text": "\xff", "other": "\\udcff"}', Reason.INVALID_UTF8),
        (b"caf\xe9", Reason.INVALID_UTF8),
        (b"", Reason.INVALID_JSON),
        (b'{"text": "fine"', Reason.INVALID_JSON),
        (b'{"text": "fine"} and more', Reason.INVALID_JSON),
        (b'{"text": 5, and then', Reason.INVALID_JSON),
        (b"[" * 100_000, Reason.INVALID_JSON),
        (b'{"other": ' + b"[" * 100_000, Reason.INVALID_JSON),
        (b"[]", Reason.WRONG_TYPE),
        (b"null", Reason.WRONG_TYPE),
        (b'"fine"', Reason.WRONG_TYPE),
        (b'{"text": 5}', Reason.WRONG_TYPE),
        (b'{"text": ["fine"]}', Reason.WRONG_TYPE),
        (b'[{"text": "fine"}, {"text": "fine"}]', Reason.WRONG_TYPE),
        (b"fine", Reason.INVALID_JSON),
        (b"{}", Reason.NO_TEXT),
        (b'{"text": null}', Reason.NO_TEXT),
    ],
)
def test_a_bad_record_is_refused_with_its_reason(value: bytes, reason: Reason) -> None:
    assert outcome(value) == reason


@pytest.mark.parametrize("key", [None, b""])
def test_a_record_without_a_stream_field_and_a_key_is_refused(key: bytes | None) -> None:
    assert outcome({"text": "fine"}, key=key) == Reason.NO_STREAM
    assert outcome({"text": "fine", "stream": None}, key=key) == Reason.NO_STREAM


def test_a_stream_that_cannot_be_used_is_missed_where_there_is_no_key() -> None:
    assert outcome({"text": "fine", "stream": {}}, key=None) == Reason.NO_STREAM


def test_a_dead_letter_without_text_names_what_the_payload_has() -> None:
    with pytest.raises(RecordError, match=r"nothing at text; the payload has reviews\\.text, a"):
        decode({"reviews.text": "fine", "a": 1})


def test_a_key_that_is_too_long_for_a_name_is_refused_only_if_it_is_needed() -> None:
    assert outcome({"text": "fine"}, key=b"x" * 100_000) == Reason.NO_STREAM
    assert isinstance(outcome({"text": "fine", "stream": "s"}, key=b"x" * 100_000), InputText)


def test_a_key_that_is_not_utf8_is_refused_only_if_it_is_needed() -> None:
    assert outcome({"text": "fine"}, key=b"\xff") == Reason.INVALID_UTF8
    assert decode({"text": "fine", "stream": "s"}, key=b"\xff").stream == "s"


def test_the_text_limit_counts_bytes_not_characters() -> None:
    assert decode({"text": "é" * 500}).text == "é" * 500
    assert outcome({"text": "é" * 500 + "e"}) == Reason.TEXT_TOO_LONG
    assert decode({"text": "e" * 1000}).text == "e" * 1000


def test_the_stream_of_a_tombstone_is_its_key() -> None:
    assert decode_stream_key("@acmé".encode()) == "@acmé"
    for key, reason in ((None, Reason.NO_STREAM), (b"", Reason.NO_STREAM), (b"\xff", Reason.INVALID_UTF8)):
        with pytest.raises(RecordError) as caught:
            decode_stream_key(key)
        assert caught.value.reason == reason
