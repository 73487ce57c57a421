"""A record becomes a valid text or is refused with a reason, whatever bytes it holds."""

import json
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from worker.errors import Reason, RecordError
from worker.payloads.payload import FieldPaths
from worker.records.codec import MAX_TIME_MS, MIN_TIME_MS, Codec, format_time, parse_time
from worker.records.keys import decode_stream_key
from worker.records.types import MAX_NAME_CHARS, Fallback, InputText
from worker.settings import Settings

NOW_MS = 1_795_000_000_000
DAY_MS = 86_400_000
NESTED = FieldPaths(id="a.id", stream="a.stream", text="b.0.text", time="time", final="final")
X_API = FieldPaths(id="data.id", stream="data.author_id", text="data.text", time="data.created_at")
REVIEWS = FieldPaths(id="reviewerID", stream="asin", text="reviewText", time="unixReviewTime")

PLAIN = InputText("tweets-3-42", "@acme", "fine", NOW_MS, True)
CODEC = Codec(Settings(topics=("tweets", "reviews", "nested"), fields={"nested": NESTED}, max_text_bytes=1000))

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
payloads = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("id", "stream", "text", "time", "final", "other"), scalars | json_values)
)


def decode(value: bytes | dict[str, Any], topic: str = "tweets", key: bytes | None = b"@acme") -> InputText:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return CODEC.decode(topic, key, body, partition=3, offset=42, timestamp_ms=NOW_MS)


def outcome(value: bytes | dict[str, Any], topic: str = "tweets", key: bytes | None = b"@acme") -> InputText | Reason:
    try:
        return decode(value, topic, key)
    except RecordError as error:
        return error.reason


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


def test_a_stream_that_cannot_be_used_is_missed_where_there_is_no_key() -> None:
    assert outcome({"text": "fine", "stream": {}}, key=None) == Reason.NO_STREAM


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


def test_the_stream_of_a_tombstone_is_its_key() -> None:
    assert decode_stream_key("@acmé".encode()) == "@acmé"
    for key, reason in ((None, Reason.NO_STREAM), (b"", Reason.NO_STREAM), (b"\xff", Reason.INVALID_UTF8)):
        with pytest.raises(RecordError) as caught:
            decode_stream_key(key)
        assert caught.value.reason == reason


def test_an_x_api_payload_is_read_unchanged() -> None:
    payload = {
        "data": {
            "author_id": "2244994945",
            "created_at": "2026-11-18T08:00:00.000Z",
            "edit_history_tweet_ids": ["1990000000000000001"],
            "id": "1990000000000000001",
            "text": "Boarding took two hours, again 😡 https://t.co/x",
        },
        "includes": {"users": [{"id": "2244994945", "name": "A Traveller", "username": "traveller"}]},
        "matching_rules": [{"id": "1", "tag": "airline"}],
    }
    codec = Codec(Settings(fields={"tweets": X_API}))
    text = codec.decode("tweets", b"1", json.dumps(payload).encode(), 0, 0, NOW_MS)
    assert text == InputText(
        payload["data"]["id"], "2244994945", payload["data"]["text"], parse_time("2026-11-18T08:00:00Z"), True
    )


def test_a_review_of_a_common_data_set_is_read_unchanged() -> None:
    payload = {
        "reviewerID": "A2SUAM1J3GNN3B",
        "asin": "0000013714",
        "reviewerName": "reader",
        "helpful": [2, 3],
        "reviewText": "The pages are thin, but the print is large. My father likes it.",
        "overall": 5.0,
        "summary": "Good",
        "unixReviewTime": 1252800000,
        "reviewTime": "09 13, 2009",
    }
    codec = Codec(Settings(fields={"reviews": REVIEWS}))
    text = codec.decode("reviews", None, json.dumps(payload).encode(), 0, 0, NOW_MS)
    assert text == InputText("A2SUAM1J3GNN3B", "0000013714", payload["reviewText"], 1_252_800_000_000, True)


def test_a_path_may_index_lists_and_applies_to_its_topic_only() -> None:
    payload = {"a": {"id": 1, "stream": "s"}, "b": [{"text": "first"}, {"text": "second"}]}
    assert decode(payload, topic="nested").text == "first"
    assert outcome(payload, topic="tweets") == Reason.NO_TEXT


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"a": {}, "b": []}, Reason.NO_TEXT),
        ({"a": {}, "b": [None]}, Reason.NO_TEXT),
        ({"a": None, "b": None}, Reason.NO_TEXT),
        ({"a": {}, "b": [5]}, Reason.WRONG_TYPE),
        ({"a": {}, "b": [{"text": 5}]}, Reason.WRONG_TYPE),
    ],
)
def test_a_mapped_record_is_refused_with_its_reason(payload: dict[str, Any], reason: Reason) -> None:
    assert outcome(payload, topic="nested") == reason


@pytest.mark.parametrize("names", [[], 5, "s", None])
def test_a_value_in_the_way_of_a_name_costs_the_name_alone(names: object) -> None:
    assert decode({"a": names, "b": [{"text": "fine"}]}, topic="nested").stream == "@acme"


@given(st.binary(max_size=60), st.none() | st.binary(max_size=8), st.sampled_from(["tweets", "nested"]))
@example(b'{"text":"a","id":' + b"9" * 4_000 + b"}", None, "tweets")
def test_arbitrary_bytes_give_a_text_or_a_reason_and_nothing_else(value: bytes, key: bytes | None, topic: str) -> None:
    assert isinstance(outcome(value, topic, key), InputText | Reason)


@given(json_values, st.none() | st.binary(max_size=8), st.sampled_from(["tweets", "nested"]))
def test_arbitrary_json_gives_a_text_or_a_reason_and_nothing_else(payload: Any, key: bytes | None, topic: str) -> None:
    assert isinstance(outcome(json.dumps(payload).encode(), topic, key), InputText | Reason)


@given(payloads, st.sampled_from([b"@acme", b"", b"\xff"]))
def test_the_typed_decoder_and_the_paths_agree(payload: dict[str, Any], key: bytes) -> None:
    nested = {
        "a": {name: payload[name] for name in ("id", "stream") if name in payload},
        "b": [{name: payload[name] for name in ("text",) if name in payload}],
        **{name: payload[name] for name in ("time", "final") if name in payload},
    }
    typed, walked = outcome(payload, "tweets", key), outcome(nested, "nested", key)
    if isinstance(typed, InputText) and isinstance(walked, InputText) and typed.record_id == "tweets-3-42":
        assert walked.record_id == "nested-3-42"
        walked = structs.replace(walked, record_id=typed.record_id)
    assert typed == walked


@given(
    st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20), st.text(max_size=250), st.booleans(),
    st.integers(MIN_TIME_MS, NOW_MS),
)  # fmt: skip
def test_a_record_that_follows_the_schema_is_read_back(
    record_id: str, stream: str, text: str, final: bool, time_ms: int
) -> None:
    record = {"id": record_id, "stream": stream, "text": text, "time": format_time(time_ms), "final": final}
    assert decode(record) == InputText(record_id, stream, text, time_ms, final)


@given(st.integers(parse_time("0001-01-01T00:00:00Z"), MAX_TIME_MS))
def test_a_formatted_time_reads_back_as_itself(time_ms: int) -> None:
    assert parse_time(format_time(time_ms)) == time_ms


@given(st.integers(-(2**63), 2**63 - 1))
def test_any_timestamp_can_be_formatted(time_ms: int) -> None:
    assert len(format_time(time_ms)) == len("2026-11-21T05:00:00.000Z")
