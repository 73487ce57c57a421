"""JSON as producers write it: framed, in any encoding of Unicode, and not quite JSON."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.records.formats.each_kind import decode, text_of
from worker.errors import Reason, RecordError
from worker.records.formats.json import decode_json
from worker.records.formats.repair import repair_json
from worker.records.types import InputText


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
