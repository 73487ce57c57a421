"""The published schemas are current, accept what the worker writes, and reject what its types forbid."""

import json

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories.records import new_event, new_shift
from worker.errors import Reason, RecordError
from worker.records.codec import encode
from worker.records.headers import deadletter_headers, redriven_headers
from worker.records.schemas import FOLDER, PUBLISHED, make_schema, render_schema
from worker.records.types import EventState, EventWord, Fallback, Probabilities, SentimentEvent, ShiftEvent

EVENT = json.loads(encode(new_event()))


def validate(name: str, instance: object) -> None:
    schema = make_schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(instance, schema, cls=jsonschema.Draft202012Validator)


def deadletter(num_redriven: int) -> dict[str, str]:
    before = redriven_headers([], num_redriven) if num_redriven else []
    headers = deadletter_headers(before, RecordError(Reason.NO_TEXT, "no text"), "tweets", 0, 9, 1_795_000_000_000)
    return {name: value.decode() for name, value in headers if value is not None}


def test_the_committed_schemas_match_the_types() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(PUBLISHED)
    for name in PUBLISHED:
        committed = (FOLDER / f"{name}.json").read_text()
        assert committed == render_schema(name), "the types changed: run `python -m worker.records.schemas`"


@given(
    st.text(), st.text(), st.floats(-1, 1), st.floats(0, 1), st.none() | st.text(),
    st.lists(st.sampled_from(Fallback), max_size=3),
)  # fmt: skip
def test_an_encoded_event_is_valid_and_reads_back_as_itself(
    stream: str, word: str, score: float, share: float, reset: str | None, fallbacks: list[Fallback]
) -> None:
    event = new_event(
        stream=stream,
        words=[EventWord(word, 0, len(word), score)],
        score=score,
        probabilities=Probabilities(share, 0.0, 1.0 - share),
        state=EventState(1, reset),
        fallbacks=tuple(fallbacks),
    )
    encoded = encode(event)
    validate("event", json.loads(encoded))
    assert msgspec.json.decode(encoded, type=SentimentEvent) == event
    assert ("fallbacks" in json.loads(encoded)) == bool(fallbacks), "an event is as it was where there are none"


def test_an_encoded_shift_is_valid_and_has_from_and_to() -> None:
    shift = new_shift()
    assert msgspec.json.decode(encode(shift), type=ShiftEvent) == shift
    encoded = json.loads(encode(shift))
    validate("shift", encoded)
    assert (encoded["from"]["label"], encoded["to"]["label"]) == ("positive", "negative")


@pytest.mark.parametrize("num_redriven", [0, 3])
def test_the_headers_of_a_dead_letter_are_valid(num_redriven: int) -> None:
    validate("deadletter", deadletter(num_redriven))


@pytest.mark.parametrize(
    "payload",
    [
        {"text": "fine"},
        {"id": 7, "stream": "@acme", "text": "fine", "time": 1_795_000_000, "final": False},
        {"id": None, "stream": None, "text": "fine", "time": "2026-11-21T05:00:00Z", "final": None, "more": 1},
    ],
)
def test_a_good_input_is_valid(payload: dict[str, object]) -> None:
    validate("input", payload)


@pytest.mark.parametrize(
    ("name", "instance"),
    [
        ("input", {"id": "1"}),
        ("input", {"text": 5}),
        ("input", {"text": "a", "final": "yes"}),
        ("event", EVENT | {"score": 1.5}),
        ("event", EVENT | {"stream": None}),
        ("shift", {"id": "1"}),
        ("deadletter", deadletter(0) | {"sentiment-reason": "dislike"}),
        ("deadletter", deadletter(0) | {"sentiment-offset": "-1"}),
    ],
)
def test_an_instance_that_the_types_forbid_is_invalid(name: str, instance: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validate(name, instance)
