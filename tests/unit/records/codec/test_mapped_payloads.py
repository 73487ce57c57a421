"""Payloads whose fields are found by paths: those of X, reviews, and nested ones."""

import json
from typing import Any

import pytest

from tests.unit.records.codec.decoding import NOW_MS, decode, outcome
from worker.errors import Reason
from worker.payloads.payload import FieldPaths
from worker.records.codec import Codec, parse_time
from worker.records.types import InputText
from worker.settings import Settings

X_API = FieldPaths(id="data.id", stream="data.author_id", text="data.text", time="data.created_at")
REVIEWS = FieldPaths(id="reviewerID", stream="asin", text="reviewText", time="unixReviewTime")


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
