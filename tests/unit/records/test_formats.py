"""Payloads of each format, html in texts, and skip rules."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import Reason, RecordError
from worker.records.codec import Codec
from worker.records.formats.json import decode_json
from worker.records.formats.repair import repair_json
from worker.records.html import blank_tags
from worker.records.types import InputText, Skipped
from worker.settings import Settings

NOW_MS = 1_795_000_000_000
EACH_KIND: dict[str, Any] = {
    "j": {"skip": [{"path": "a.*.b", "values": [1, "x"]}, {"path": ["c", "d"], "pattern": "RT"}], "html": True},
    "t": "text",
    "c": "confluent-json",
    "p": "debezium",
    "n": {"time_format": ["%d/%m/%Y", "epoch_us"], "key_format": "long"},
}
CODEC = Codec(Settings(topics=tuple(EACH_KIND), payloads=EACH_KIND, fields={"n": {"text": ["a.*.b", "c", "0.d"]}}))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=()), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from("abcd") | st.sampled_from(["text", "time", "op", "after"]), inner, max_size=4)
    ),
    max_leaves=10,
)


def decode(value: bytes | dict[str, Any], topic: str) -> InputText | Skipped:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return CODEC.decode(topic, b"12345678", body, 0, 0, NOW_MS)


def text_of(value: bytes | dict[str, Any], topic: str) -> str:
    found = decode(value, topic)
    assert isinstance(found, InputText)
    return found.text


def test_the_value_of_the_format_text_is_the_text() -> None:
    assert text_of(b'\xef\xbb\xbf{"text": "love it"} \n', "t") == '{"text": "love it"} \n'
    with pytest.raises(RecordError, match="byte 3 of the value is not UTF-8"):
        decode(b"caf\xe9", "t")


@pytest.mark.parametrize("frame", [b"", b"\0\0\0\0\7", b"\0\0\0\xff\xfe"])
@pytest.mark.parametrize("topic", ["c", "j"])
def test_json_is_read_behind_confluents_frame_and_without_one(frame: bytes, topic: str) -> None:
    assert text_of(frame + b'{"text": "love it"}', topic) == "love it"
    assert text_of(frame + b'{"text": "love \\ud83d"}', topic) == "love \ufffd"


@pytest.mark.parametrize("value", [b"", b"\0", b"\0\0\0\0\7", b"\0\0\0\0\7{", b"love it", b"\x01\x02"])
def test_what_is_no_json_behind_a_frame_is_refused(value: bytes) -> None:
    with pytest.raises(RecordError) as caught:
        decode(value, "c")
    assert caught.value.reason == Reason.INVALID_JSON


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


@pytest.mark.parametrize(
    "value",
    [
        '\ufeff{"text": "caf\u00e9"}'.encode("utf-16-le"),
        '\ufeff{"text": "caf\u00e9"}'.encode("utf-16-be"),
        '{"text": "caf\u00e9"}'.encode("utf-16-le"),
        '{"text": "caf\u00e9"}'.encode("utf-16-be"),
        '{"text": "caf\u00e9"}'.encode("utf-32"),
        '{"text": "caf\u00e9"}'.encode("utf-32-le"),
        '[{"text": "caf\u00e9"}]'.encode("utf-32-be"),
        '\x1e{"text": "caf\u00e9"}\n'.encode(),
        b"\0" + bytes(7) + b"\7" + '{"text": "caf\u00e9"}'.encode(),
        b"\3\0" + bytes(range(16)) + '{"text": "caf\u00e9"}'.encode(),
        ' \ufeff\ufeff {"text": "caf\u00e9"}\0\0'.encode(),
        json.dumps('{"text": "caf\u00e9"}').encode(),
    ],
)
def test_json_is_read_in_each_encoding_of_unicode_and_with_what_stands_around_it(value: bytes) -> None:
    assert text_of(value, "c") == "caf\u00e9"


def test_halves_of_characters_by_themselves_are_joined_and_what_stays_half_is_replaced() -> None:
    assert text_of(b'{"text": "love \xed\xa0\xbd\xed\xb8\x80"}', "c") == "love \U0001f600"
    found = decode(b'{"text": "love \xed\xa0\xbd", "a": "\xed\xb2\x80"}', "c")
    assert isinstance(found, InputText)
    assert (found.text, found.fallbacks) == ("love \ufffd", ("surrogate_replaced",))
    assert text_of(b'{"text": "love \\ud83d", "a": "caf\xe9"}', "c") == "love \ufffd"
    with pytest.raises(RecordError, match="byte 15 of the value is not UTF-8"):
        decode(b'{"text": "love \xe9\\ud83d"}', "c")


@pytest.mark.parametrize("inner", ["[" * 20_000 + "NaN" + "]" * 20_000, '{"b": ' * 20_000 + '"}"' + "}" * 20_000])
def test_nesting_beside_the_text_costs_what_is_nested(inner: str) -> None:
    assert text_of(f'{{"a": {inner}, "text": "love it"}}'.encode(), "c") == "love it"
    # what the message names depends on how deep this version of Python reads
    with pytest.raises(RecordError, match="line 1 column"):
        decode(f'{{"text": "love it", "a": {inner[:30_000]}'.encode(), "c")


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


@pytest.mark.parametrize(
    "value",
    [
        "{'text': \"it's \\\\\", 'a': None, 'b': True}",
        "{'text': 'it\\'s \\\\', 'a': 'say \"hi\"'}",
        r'{"text": "it\'s \\"}',
        r'{"text": "it\x27s \\"}',
        r'{"text": "it\u0027s \\", "path": "C:\data"}',
        r'{"text": "it\'s \\", "a": nan, "b": -inf, "c": -nan(ind), "d": undefined, "e": 1.#IND}',
        r'{"text": "it\'s \\", "a": +1, "b": .5, "c": 1., "d": 0x1F, "e": 007, "f": -Infinity, "g": [1, 2,],}',
        r'{text: "it\'s \\", $a: 1}',
        r'{"text": "it\'s \\", /* beside */ "a": 1} // behind',
        r'{"_id": ObjectId("64"), "n": NumberLong(5), "text": "it\'s \\"},',
    ],
)
def test_json_that_is_none_strictly_is_read_where_it_can_mean_one_thing_alone(value: str) -> None:
    assert text_of(value.encode(), "c") == "it's \\"


def test_what_is_put_right_is_the_value_that_was_meant() -> None:
    found = decode_json(b"{'a': 007, 'b': +1, 'c': .5, 'd': 'x\\x41\\q\n', 'e': [True, None,], 'f': -1}")
    assert found == {"a": "007", "b": 1, "c": 0.5, "d": "xA\\q\n", "e": [True, None], "f": -1}


@given(st.text(alphabet="{}[]\"'\\:,/*x0+.-n(a)\n ", max_size=80))
def test_what_is_put_right_in_json_hides_no_json_and_raises_nothing(text: str) -> None:
    assert isinstance(repair_json("{" + text), str)
    written = json.dumps({"text": text, "a": [1, -2.5, True, None]})
    assert json.loads(repair_json(written)) == json.loads(written)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (b"\0\0\0\0\7\x08love", "Confluent's frame of schema 7: set the topic's format to avro or protobuf"),
        (b"\x1f\x8b\x08\0packed", "packed with gzip by its producer"),
        (b"\xac\xed\0\5t\0\4love", "Java's serialization"),
        (b"<text>love it</text>", "begins as XML"),
        (b"@norvia love it", "for plain texts, set the topic's format to text"),
    ],
)
def test_what_a_value_is_in_place_of_json_is_said(value: bytes, hint: str) -> None:
    for topic in ("c", "j"):
        with pytest.raises(RecordError, match=re.escape(hint)):
            decode(value, topic)


def test_a_path_goes_on_within_json_in_a_string() -> None:
    codec = Codec(Settings(topics=("t",), fields={"t": {"text": "after.text"}}))
    found = codec.decode("t", b"k", json.dumps({"after": json.dumps({"text": "fine"})}).encode(), 0, 0, NOW_MS)
    assert isinstance(found, InputText)
    assert found.text == "fine"
    with pytest.raises(RecordError, match="'text' is looked up in a string"):
        codec.decode("t", b"k", b'{"after": "{no json"}', 0, 0, NOW_MS)
