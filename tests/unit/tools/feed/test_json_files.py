"""JSON files as people have them: lines, objects of several lines, arrays, and what is broken in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.tools.feed.file_values import ONE, TWO, read
from worker.settings import Settings


@pytest.mark.parametrize(
    "content",
    [
        b"[" + ONE + b"," + TWO + b"]",
        b" [\n  " + ONE + b" ,\r\n " + TWO + b"\n]\n",
        ONE + b"\n" + TWO + b"\n",
        b"\xef\xbb\xbf" + ONE + b"\n" + TWO,
        b"\xef\xbb\xbf[" + ONE + b"," + TWO + b"]",
    ],
)
def test_the_records_of_a_json_file_are_sent_as_they_stand_there(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path / "a.json", content) == ([ONE, TWO], [])


def test_objects_of_several_lines_are_one_record_each(tmp_path: Path) -> None:
    payloads = [{"stream": "a", "text": f"{n} }}"} for n in range(3)]
    content = "\n".join(json.dumps(one, indent=2) for one in payloads).encode()
    assert [json.loads(value) for value in read(tmp_path / "a.json", content)[0]] == payloads
    content = json.dumps(payloads, indent=2).encode()
    assert [json.loads(value) for value in read(tmp_path / "a.json", content)[0]] == payloads


def test_a_bad_element_of_an_array_is_named_by_its_line_and_the_others_are_sent(tmp_path: Path) -> None:
    content = b"[" + ONE + b',\n{"text": 5},\n{"text" "a"},\n\n' + TWO + b",,3]"
    values, refused = read(tmp_path / "a.json", content)
    assert values == [ONE, TWO]
    assert [one.split(":")[1:3] for one in refused] == [
        *(["2", " wrong_type"], ["3", " invalid_json"], ["5", " invalid_json"], ["5", " wrong_type"]),
    ]


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (b"", "the file ends before the array does"),
        (b',{"text": "cut', "the file ends inside of a value"),
        (b"]]", "the array has ended before"),
        (b',"' + b"x" * 2_000_000, "is a quote or a bracket not closed?"),
    ],
)
def test_an_array_that_is_cut_or_goes_on_after_its_end_is_named(tmp_path: Path, end: bytes, message: str) -> None:
    values, (refused,) = read(tmp_path / "a.json", b"[\n" + ONE + end)
    assert values == [ONE]
    assert refused.startswith(":2: invalid_json: ")
    assert message in refused


@pytest.mark.parametrize("content", [b"[" + ONE + b",\n" + TWO + b"]", b"\n [" + ONE + b",\n" + TWO + b"\n]"])
def test_an_array_is_read_behind_the_name_of_lines_too(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path / "a.jsonl", content) == ([ONE, TWO], [])


def test_a_line_may_be_a_list_of_one_object(tmp_path: Path) -> None:
    lines = [b"[" + ONE + b"]", b"[" + TWO + b"]"]
    assert read(tmp_path / "a.jsonl", b"\n".join(lines)) == (lines, [])


def test_objects_with_nothing_between_them_are_one_record_each(tmp_path: Path) -> None:
    assert read(tmp_path / "a.jsonl", ONE + TWO + b"\n" + TWO) == ([ONE, TWO, TWO], [])
    assert read(tmp_path / "a.json", ONE + b" " + TWO) == ([ONE, TWO], [])
    num = 2 * Settings().max_text_bytes * 10 // len(ONE)
    assert read(tmp_path / "a.json", ONE * num) == ([ONE] * num, [])
    values, refused = read(tmp_path / "a.jsonl", ONE + TWO[:-1] + b"\n" + TWO)
    assert (values, [one.split(":")[1] for one in refused]) == ([TWO], ["1"])


def test_lines_of_an_array_whose_brackets_are_gone_are_records(tmp_path: Path) -> None:
    lines = [ONE + b",", TWO + b","]
    assert read(tmp_path / "a.jsonl", b"\n".join(lines)) == (lines, [])
