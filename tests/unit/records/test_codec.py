"""A record becomes a valid text or is refused with a reason, whatever bytes it holds."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.errors import Reason, RecordError
from worker.records.codec import MAX_TIME_MS, MIN_TIME_MS, Codec, decode_stream_key, format_time, parse_time
from worker.records.types import MAX_NAME_CHARS, InputText
from worker.settings import FieldPaths, Settings

NOW_MS = 1_795_000_000_000
DAY_MS = 86_400_000
NESTED = FieldPaths(id="a.id", stream="a.stream", text="b.0.text", time="time", final="final")
X_API = FieldPaths(id="data.id", stream="data.author_id", text="data.text", time="data.created_at")
REVIEWS = FieldPaths(id="reviewerID", stream="asin", text="reviewText", time="unixReviewTime")

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
    "time",
    [
        "2026-11-18T08:00:00.999Z",
        "2026-11-18T09:00:00.999456+01:00",
        "2026-11-18t08:00:00.999z",
        1_794_988_800.999,
        1_794_988_800_999,
        1_794_988_800_999.0,
    ],
)
def test_a_time_is_rfc3339_or_unix_seconds_or_milliseconds(time: object) -> None:
    assert decode({"text": "fine", "time": time}).time_ms == 1_794_988_800_999


def test_an_empty_text_is_left_to_the_pipeline() -> None:
    assert decode({"text": ""}).text == ""


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b'{"text": "\xff"}', Reason.INVALID_UTF8),
        (b'{"text": "fine", "other": "\xff"}', Reason.INVALID_UTF8),
        (b"", Reason.INVALID_JSON),
        (b'{"text": "fine"', Reason.INVALID_JSON),
        (b'{"text": "fine"} and more', Reason.INVALID_JSON),
        (b'{"text": 5, and then', Reason.INVALID_JSON),
        (b'{"text": "\\ud800"}', Reason.INVALID_JSON),
        (b'{"text": "fine", "time": NaN}', Reason.INVALID_JSON),
        (b"[" * 100_000, Reason.INVALID_JSON),
        (b'{"other": ' + b"[" * 100_000, Reason.INVALID_JSON),
        (b"[]", Reason.WRONG_TYPE),
        (b"null", Reason.WRONG_TYPE),
        (b'"fine"', Reason.WRONG_TYPE),
        (b'{"text": 5}', Reason.WRONG_TYPE),
        (b'{"text": ["fine"]}', Reason.WRONG_TYPE),
        (b'{"text": "fine", "id": true}', Reason.WRONG_TYPE),
        (b'{"text": "fine", "stream": {}}', Reason.WRONG_TYPE),
        (b'{"text": "fine", "final": "yes"}', Reason.WRONG_TYPE),
        (b'{"text": "fine", "time": "yesterday"}', Reason.WRONG_TYPE),
        (b'{"text": "fine", "time": ""}', Reason.WRONG_TYPE),
        (b'{"text": "fine", "time": "2026-11-18T08:00:00"}', Reason.WRONG_TYPE),
        (b'{"text": "fine", "time": 1e999}', Reason.WRONG_TYPE),
        (b"{}", Reason.NO_TEXT),
        (b'{"text": null}', Reason.NO_TEXT),
        (b'{"text": "fine", "time": 0}', Reason.ABSURD_TIME),
        (b'{"text": "fine", "time": "1989-12-31T23:59:59Z"}', Reason.ABSURD_TIME),
        (b'{"text": "fine", "time": "2027-01-01T00:00:00Z"}', Reason.ABSURD_TIME),
        (b'{"text": "fine", "time": 1e300}', Reason.ABSURD_TIME),
        (b'{"text": "fine", "time": -1e300}', Reason.ABSURD_TIME),
    ],
)
def test_a_bad_record_is_refused_with_its_reason(value: bytes, reason: Reason) -> None:
    assert outcome(value) == reason


@pytest.mark.parametrize("key", [None, b""])
def test_a_record_without_a_stream_field_and_a_key_is_refused(key: bytes | None) -> None:
    assert outcome({"text": "fine"}, key=key) == Reason.NO_STREAM
    assert outcome({"text": "fine", "stream": None}, key=key) == Reason.NO_STREAM


@pytest.mark.parametrize("field", ["id", "stream"])
def test_a_name_that_is_too_long_is_refused(field: str) -> None:
    assert isinstance(outcome({"text": "fine", field: "x" * MAX_NAME_CHARS}), InputText)
    assert outcome({"text": "fine", field: "x" * (MAX_NAME_CHARS + 1)}) == Reason.WRONG_TYPE


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
    assert decode({"text": "fine", "time": latest_ms}).time_ms == latest_ms
    assert outcome({"text": "fine", "time": latest_ms + 1}) == Reason.ABSURD_TIME
    assert decode({"text": "fine", "time": MIN_TIME_MS}).time_ms == MIN_TIME_MS
    assert outcome({"text": "fine", "time": MIN_TIME_MS - 1}) == Reason.ABSURD_TIME


@pytest.mark.parametrize("timestamp_ms", [-1, 0, 1_795_000_000])
def test_an_absurd_record_timestamp_matters_only_if_the_time_is_missing(timestamp_ms: int) -> None:
    timed, untimed = b'{"text": "fine", "time": "2026-11-18T08:00:00Z"}', b'{"text": "fine"}'
    assert CODEC.decode("tweets", b"k", timed, 0, 0, timestamp_ms).time_ms == parse_time("2026-11-18T08:00:00Z")
    with pytest.raises(RecordError) as caught:
        CODEC.decode("tweets", b"k", untimed, 0, 0, timestamp_ms)
    assert caught.value.reason == Reason.ABSURD_TIME


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
        ({"a": [], "b": [{"text": "fine"}]}, Reason.WRONG_TYPE),
        ({"a": 5, "b": [{"text": "fine"}]}, Reason.WRONG_TYPE),
    ],
)
def test_a_mapped_record_is_refused_with_its_reason(payload: dict[str, Any], reason: Reason) -> None:
    assert outcome(payload, topic="nested") == reason


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
    if isinstance(typed, InputText) and isinstance(walked, InputText) and not payload.get("id"):
        assert (typed.record_id, walked.record_id) == ("tweets-3-42", "nested-3-42")
        walked = InputText(typed.record_id, walked.stream, walked.text, walked.time_ms, walked.final)
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
