"""The fields of a record: which are read, what stands in for one, and what a useless one costs."""

import time

import pytest
from msgspec import structs

from tests.unit.records.codec.decoding import CODEC, NOW_MS, decode
from worker.records.codec import MIN_TIME_MS, parse_time
from worker.records.types import MAX_NAME_CHARS, Fallback, InputText

DAY_MS = 86_400_000
PLAIN = InputText("tweets-3-42", "@acme", "fine", NOW_MS, True)


def test_a_whole_record_is_read() -> None:
    record = {"id": "7", "stream": "@acme", "text": "fine", "time": "2026-11-18T05:00:00Z", "final": False}
    assert decode(record) == InputText("7", "@acme", "fine", parse_time("2026-11-18T05:00:00Z"), False)


def test_missing_fields_come_from_the_record_itself() -> None:
    assert decode({"text": "fine"}) == InputText("tweets-3-42", "@acme", "fine", NOW_MS, True)


def test_null_and_empty_names_count_as_missing() -> None:
    record = {"id": "", "stream": "", "text": "fine", "time": None, "final": None}
    assert decode(record) == decode({"text": "fine"})


def test_the_field_stream_takes_precedence_over_the_key() -> None:
    assert decode({"text": "fine", "stream": "@field"}, key=b"@key").stream == "@field"
    assert decode({"text": "fine"}, key=b"@key").stream == "@key"


@pytest.mark.parametrize(("given", "name"), [(12, "12"), (2**70, str(2**70)), (1.5, "1.5"), ("é", "é")])
def test_ids_and_streams_may_be_numbers(given: object, name: str) -> None:
    text = decode({"text": "fine", "id": given, "stream": given})
    assert (text.record_id, text.stream) == (name, name)


@pytest.mark.parametrize(
    "given_time",
    [
        "2026-11-18T08:00:00.999Z",
        "2026-11-18T09:00:00.999456+01:00",
        "2026-11-18t08:00:00.999z",
        1_794_988_800.999,
        1_794_988_800_999,
        1_794_988_800_999.0,
    ],
)
def test_a_time_is_rfc3339_or_unix_seconds_or_milliseconds(given_time: object) -> None:
    assert decode({"text": "fine", "time": given_time}).time_ms == 1_794_988_800_999


def test_an_empty_text_is_left_to_the_pipeline() -> None:
    assert decode({"text": ""}).text == ""


@pytest.mark.parametrize(
    ("fields", "expected", "fallback"),
    [
        ('"time": NaN', PLAIN, Fallback.TIME_UNREADABLE),
        ('"time": true', PLAIN, Fallback.TIME_UNREADABLE),
        ('"time": "yesterday"', PLAIN, Fallback.TIME_UNREADABLE),
        ('"time": 1e999', PLAIN, Fallback.TIME_UNREADABLE),
        ('"time": {"$date": 5}', PLAIN, Fallback.TIME_UNREADABLE),
        ('"time": 0', PLAIN, Fallback.TIME_ABSURD),
        ('"time": "1989-12-31T23:59:59Z"', PLAIN, Fallback.TIME_ABSURD),
        ('"time": "2027-01-01T00:00:00Z"', PLAIN, Fallback.TIME_ABSURD),
        ('"time": 1e300', PLAIN, Fallback.TIME_ABSURD),
        ('"time": -1e300', PLAIN, Fallback.TIME_ABSURD),
        ('"id": true', PLAIN, Fallback.ID_IGNORED),
        ('"id": ["7"]', PLAIN, Fallback.ID_IGNORED),
        (f'"id": "{"x" * (MAX_NAME_CHARS + 1)}"', PLAIN, Fallback.ID_IGNORED),
        ('"stream": {}', PLAIN, Fallback.STREAM_IGNORED),
        (f'"stream": "{"x" * (MAX_NAME_CHARS + 1)}"', PLAIN, Fallback.STREAM_IGNORED),
        ('"final": "perhaps"', PLAIN, Fallback.FINAL_IGNORED),
        ('"final": []', PLAIN, Fallback.FINAL_IGNORED),
    ],
)
def test_a_field_that_cannot_be_used_costs_the_field_and_not_the_record(
    fields: str, expected: InputText, fallback: Fallback
) -> None:
    found = decode(b'{"text": "fine", %s}' % fields.encode())
    assert found == structs.replace(expected, fallbacks=(fallback,))


@pytest.mark.parametrize(
    "value",
    [
        b'\xef\xbb\xbf{"text": "fine"}',
        b'\x00\x00\x00\x00\xff{"text": "fine"}',
        b'{"text": "fine", "other": [NaN, Infinity, -Infinity, "\\ud83d", "a\nb"], "\\udc00": 1}',
        b'{"text": "fine", "other": "\xff"}',
        b'{"text": "fine", "other": ' + b"9" * 5000 + b"}",
        b'[{"text": "fine"}]',
        b'{"text": "fine", "time": ""}',
        b'{"text": "fine", "time": " "}',
    ],
)
def test_what_nobody_reads_is_nothing_to_a_text(value: bytes) -> None:
    assert decode(value) == PLAIN


def test_half_a_character_is_replaced_in_the_text_and_in_names() -> None:
    found = decode(b'{"text": "love \\ud83d it \\ud83d\\ude00", "id": "\\udc00", "stream": "a\\ud800"}')
    assert (found.text, found.record_id, found.stream) == ("love \ufffd it \U0001f600", "\ufffd", "a\ufffd")
    assert found.fallbacks == (Fallback.SURROGATE_REPLACED,)


@pytest.mark.parametrize(
    ("final", "expected"), [("false", False), ("No", False), (0, False), (1, True), ("TRUE", True), (None, True)]
)
def test_final_may_be_a_word_or_a_digit(final: object, expected: bool) -> None:
    assert decode({"text": "fine", "final": final}).final is expected


def test_a_time_may_be_ahead_of_the_record_by_the_allowed_skew_and_no_more() -> None:
    latest_ms = NOW_MS + DAY_MS
    for time_ms in (latest_ms, MIN_TIME_MS):
        found = decode({"text": "fine", "time": time_ms})
        assert (found.time_ms, found.fallbacks) == (time_ms, ())
    for time_ms in (latest_ms + 1, MIN_TIME_MS - 1):
        found = decode({"text": "fine", "time": time_ms})
        assert (found.time_ms, found.fallbacks) == (NOW_MS, (Fallback.TIME_ABSURD,))


@pytest.mark.parametrize("timestamp_ms", [-1, 0, 1_795_000_000, 1_795_000_000_000_000])
@pytest.mark.parametrize(
    ("fields", "fallbacks"),
    [
        ("", (Fallback.NO_TIMESTAMP,)),
        (', "time": "noon"', (Fallback.TIME_UNREADABLE, Fallback.NO_TIMESTAMP)),
        (', "time": 0', (Fallback.TIME_ABSURD, Fallback.NO_TIMESTAMP)),
    ],
)
def test_a_record_without_a_timestamp_takes_the_present_only_if_its_payload_has_no_time_either(
    timestamp_ms: int, fields: str, fallbacks: tuple[Fallback, ...]
) -> None:
    timed = CODEC.decode("tweets", b"k", b'{"text": "fine", "time": "2026-11-18T08:00:00Z"}', 0, 0, timestamp_ms)
    assert (timed.time_ms, timed.fallbacks) == (parse_time("2026-11-18T08:00:00Z"), ())
    before_ms = int(time.time() * 1000)
    found = CODEC.decode("tweets", b"k", b'{"text": "fine"%s}' % fields.encode(), 0, 0, timestamp_ms)
    assert before_ms <= found.time_ms <= time.time() * 1000
    assert found.fallbacks == fallbacks
