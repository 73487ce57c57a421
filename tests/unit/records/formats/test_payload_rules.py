"""What a topic's settings make of a payload: its text by format and paths, skip rules, html blanked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.records.formats.each_kind import EACH_KIND, NOW_MS, decode, text_of
from worker.errors import RecordError
from worker.records.codec import Codec
from worker.records.html import blank_tags
from worker.records.types import InputText, Skipped
from worker.settings import Settings

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=()), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from("abcd") | st.sampled_from(["text", "time", "op", "after"]), inner, max_size=4)
    ),
    max_leaves=10,
)


def test_the_value_of_the_format_text_is_the_text() -> None:
    assert text_of(b'\xef\xbb\xbf{"text": "love it"} \n', "t") == '{"text": "love it"} \n'
    with pytest.raises(RecordError, match="byte 3 of the value is not UTF-8"):
        decode(b"caf\xe9", "t")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"text": "fine", "a": [{"b": 2}, {"b": 1}]}, "a.*.b is 1 or x"),
        ({"text": "fine", "a": [{"b": 2}], "d": "RT @a"}, "c or d matches RT"),
        ({"text": "fine", "a": [{"b": 2}, {}], "c": 5, "d": "not RT"}, None),
        ({"text": "fine", "a": {"b": 1}}, None),
    ],
)
def test_a_rule_skips_what_it_says(value: dict[str, Any], expected: str | None) -> None:
    assert decode(value, "j") == (
        Skipped(expected) if expected else InputText("j-0-0", "12345678", "fine", NOW_MS, True)
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('see <a href="x" class=y>this</a>', "see " + " " * 20 + "this    "),
        ("one<br />two", "one      two"),
        ("a <b and c> d", "a <b and c> d".replace("<b and c>", " " * 9)),
        ("3 < 5 and 7 > 6", "3 < 5 and 7 > 6"),
        ("<3 <script>x</script>", "<3 <script>x</script>"),
    ],
)
def test_tags_with_attributes_become_spaces(text: str, expected: str) -> None:
    assert blank_tags(text) == expected


@given(st.text(alphabet="<a b=\"c'/>=br", max_size=60))
def test_places_in_a_text_stay_the_same_without_its_tags(text: str) -> None:
    assert len(blank_tags(text)) == len(text)


def test_paths_are_tried_in_their_order_and_what_is_empty_or_no_text_is_passed_over() -> None:
    assert text_of({"a": [{"b": ""}, {"b": 5}, {"b": "first"}], "c": "second"}, "n") == "first"
    assert text_of({"a": [{"b": ""}], "c": "second"}, "n") == "second"
    assert text_of(b'[{"d": "in a list"}]', "n") == "in a list"
    assert text_of({"a": [{"b": ""}]}, "n") == ""


def test_a_text_that_nobody_can_see_counts_only_where_there_is_no_other() -> None:
    assert text_of({"a": [{"b": " \u200b\ufeff"}], "c": "second"}, "n") == "second"
    assert text_of({"a": [{"b": " \u200b"}]}, "n") == " \u200b"


@pytest.mark.parametrize(("given_", "final"), [("false", False), ("F", False), (0.0, False), ("y", True), (1.0, True)])
def test_a_truth_value_is_read_as_databases_and_data_frames_write_it(given_: Any, final: bool) -> None:
    found = decode({"text": "fine", "final": given_}, "c")
    assert isinstance(found, InputText)
    assert (found.final, found.fallbacks) == (final, ())


def test_the_first_truth_value_among_the_paths_of_final_counts() -> None:
    codec = Codec(Settings(topics=("t",), fields={"t": {"final": ["a", "b"]}}))
    found = [
        codec.decode("t", b"k", body, 0, 0, NOW_MS)
        for body in (b'{"text":"x","a":"?","b":false}', b'{"text":"x","a":"?"}')
    ]
    assert [(one.final, one.fallbacks) for one in found if isinstance(one, InputText)] == [
        (False, ()),
        (True, ("final_ignored",)),
    ]


def test_a_path_goes_on_within_json_in_a_string() -> None:
    codec = Codec(Settings(topics=("t",), fields={"t": {"text": "after.text"}}))
    found = codec.decode("t", b"k", json.dumps({"after": json.dumps({"text": "fine"})}).encode(), 0, 0, NOW_MS)
    assert isinstance(found, InputText)
    assert found.text == "fine"
    with pytest.raises(RecordError, match="'text' is looked up in a string"):
        codec.decode("t", b"k", b'{"after": "{no json"}', 0, 0, NOW_MS)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (b"[]", "a list of 0 elements"),
        (b'[{"text": "a"}, {}]', "a list of 2 elements"),
        (b"null", "null"),
        (b'"a"', "a string"),
    ],
)
def test_what_has_no_members_is_named_as_json_names_it(value: bytes, named: str) -> None:
    with pytest.raises(RecordError, match=f"'text' is looked up in {named}"):
        decode(value, "c")


def test_what_a_payload_has_instead_of_a_text_is_told_on_one_line_that_can_be_printed() -> None:
    with pytest.raises(RecordError) as caught:
        decode(b'{"a\\nb": 1, "\\u001b[31m": 2, "\\ud83d": 3, "caf\xc3\xa9": 4}', "c")
    assert str(caught.value).endswith("the payload has a\\nb, \\x1b[31m, \\ud83d, caf\u00e9")


@given(values, st.sampled_from(list(EACH_KIND)), st.booleans())
def test_any_json_value_gives_a_text_or_a_record_error_and_nothing_else(
    value: Any, topic: str, ascii_only: bool
) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode(errors="surrogatepass")
    try:
        found = decode(body, topic)
    except RecordError as error:
        str(error).encode()
        return
    if isinstance(found, InputText):
        found.text.encode()
        found.stream.encode()
        found.record_id.encode()


@given(st.binary(max_size=60), st.sampled_from(list(EACH_KIND)))
def test_any_bytes_give_a_text_or_a_record_error_and_nothing_else(value: bytes, topic: str) -> None:
    try:
        decode(value, topic)
    except RecordError:
        return
