"""Whatever bytes, JSON or time there are: a text or a reason, however the fields are found."""

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from tests.unit.records.codec.decoding import NOW_MS, decode, outcome
from worker.errors import Reason
from worker.records.codec import MAX_TIME_MS, MIN_TIME_MS, format_time, parse_time
from worker.records.types import InputText

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
payloads = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("id", "stream", "text", "time", "final", "other"), scalars | json_values)
)


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
