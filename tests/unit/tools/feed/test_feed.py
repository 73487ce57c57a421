"""Which records `sentiment feed` sends of JSON lines and CSV, and how what it leaves out is named."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from worker.errors import InputFileError
from worker.payloads.payload import FieldPaths
from worker.records.codec import parse_time
from worker.settings import Settings
from worker.tools.feed import read_files
from worker.tools.simulate import FeedRecord

GOOD = b'{"stream": "@acme", "text": "fine", "time": "2026-11-18T05:00:00Z", "more": [1]}'
REVIEWS = FieldPaths(id="id", stream="asin", text="reviewText", time="unixReviewTime", final="last")


def read(*paths: Path, settings: Settings | None = None, topic: str = "tweets") -> tuple[list[FeedRecord], list[str]]:
    refused: list[str] = []
    records = list(read_files(paths, topic, settings or Settings(), refused.append))
    return records, refused


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.ndjson", "a.JSONL", "a.jsonl.gz", "dump.v2.json.gz"])
def test_json_lines_are_sent_unchanged_with_their_stream_as_key(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, GOOD + b"\r\n\n" + GOOD)
    records, refused = read(path)
    assert records == [FeedRecord("tweets", b"@acme", GOOD, parse_time("2026-11-18T05:00:00Z"))] * 2
    assert not refused


def test_files_are_read_in_the_order_given(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{n}.jsonl", b'{"text": "t", "stream": "%d"}' % n) for n in (2, 1)]
    assert [record.key for record in read(*paths)[0]] == [b"2", b"1"]


def test_fields_are_read_at_the_paths_in_the_settings(tmp_path: Path) -> None:
    settings = Settings(fields={"reviews": REVIEWS})
    path = write(tmp_path / "a.jsonl", b'{"asin": "B01", "reviewText": "thin", "unixReviewTime": 1252800000}')
    (record,) = read(path, settings=settings, topic="reviews")[0]
    assert (record.key, record.timestamp_ms) == (b"B01", 1_252_800_000_000)


def test_a_bad_line_is_named_with_file_line_and_reason_and_the_others_are_sent(tmp_path: Path) -> None:
    bad = [b"{", b'{"text": 5}', b'{"text": "no stream"}', b"caf\xe9", b'{"stream": "s"}']
    path = write(tmp_path / "a.jsonl", b"\n".join([GOOD, *bad, GOOD]))
    records, refused = read(path)
    assert len(records) == 2
    reasons = ["invalid_json", "wrong_type", "no_stream", "invalid_utf8", "no_text"]
    assert [message.split(": ")[:2] for message in refused] == [
        [f"{path}:{line}", reason] for line, reason in enumerate(reasons, start=2)
    ]


def test_a_csv_row_becomes_an_object_with_types_where_they_are_known(tmp_path: Path) -> None:
    content = (
        'id,stream,text,time,final\n1,@acme,"two\nlines, é",1790000000,false\n2,@acme,17,2026-09-21T14:13:20Z,\n'
        "3,@acme,t,1790000000.5,TRUE\n"
    )
    for name in ("a.csv", "b.csv.gz"):
        records, refused = read(write(tmp_path / name, b"\xef\xbb\xbf" + content.encode()))
        assert not refused
        assert [json.loads(record.value) for record in records] == [
            {"id": "1", "stream": "@acme", "text": "two\nlines, é", "time": 1790000000.0, "final": False},
            {"id": "2", "stream": "@acme", "text": "17", "time": "2026-09-21T14:13:20Z"},
            {"id": "3", "stream": "@acme", "text": "t", "time": 1790000000.5, "final": True},
        ]


def test_a_csv_with_other_columns_is_typed_by_its_field_paths(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b"asin,reviewText,unixReviewTime,last,time\nB01,thin,1252800000,0,noon\n")
    (record,) = read(path, settings=Settings(fields={"reviews": REVIEWS}), topic="reviews")[0]
    value = {"asin": "B01", "reviewText": "thin", "unixReviewTime": 1252800000.0, "last": False, "time": "noon"}
    assert json.loads(record.value) == value


def test_a_bad_row_of_a_csv_is_named_by_its_first_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b'stream,text,time\ns,"a\nb",\ns,,\n,"t\nu",noon\n')
    records, refused = read(path)
    assert len(records) == 1
    assert [message.split(": ")[:2] for message in refused] == [[f"{path}:4", "no_text"], [f"{path}:5", "no_stream"]]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"hello", "should end in .jsonl"),
        ("gz", b"hello", "should end in .jsonl"),
        ("a.csv", b"stream,body\na,b\n", "a.csv: line 1: no column holds the text; the columns are stream, body"),
        ("a.csv", b'stream,"text\na,b\n', "a.csv: line 1: invalid_csv: a quote"),
        ("a.parquet", b"PAR1", "a.parquet: "),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputFileError, match=message):
        read(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("a.csv", b"a,b,c", "more cells (3) than columns (2)"),
        ("a.csv", b"a,caf\xe9", "invalid_utf8: the row is not utf-8; --encoding"),
        ("a.csv", b'a,"' + b"b" * 200_000 + b'"', "text_too_long: the text has 200000 bytes"),
        ("a.csv", b'a,"' + b"b" * 2_000_000 + b'"', "text_too_long: the row has more than"),
        ("a.csv", b'a,"b"c', "invalid_csv: line 2: a quote is followed by something else"),
        ("a.csv", b'a,"never closed', "invalid_csv: a quote that opens in this row is not closed until line 3"),
        ("a.jsonl", b'"' + b"b" * 2_000_000, "text_too_long: the line has more than"),
    ],
)
def test_a_row_that_cannot_be_read_is_named_and_left_out(tmp_path: Path, name: str, row: bytes, message: str) -> None:
    first, last = (b"stream,text", b"a,fine") if name == "a.csv" else (b"", b'{"stream": "a", "text": "fine"}')
    path = write(tmp_path / name, first + b"\n" + row + b"\n" + last)
    records, (refused,) = read(path)
    assert refused.startswith(f"{path}:2: ")
    assert message in refused
    assert [json.loads(record.value) for record in records] == [{"stream": "a", "text": "fine"}]


def test_a_cell_may_be_as_large_as_a_text(tmp_path: Path) -> None:
    text = "é" * 150_000
    path = write(tmp_path / "a.csv", f'stream,text\na,"{text}"\n'.encode())
    ((record,), refused) = read(path, settings=Settings(max_text_bytes=300_000))
    assert (json.loads(record.value)["text"], refused) == (text, [])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match=r"away\.jsonl: No such file"):
        read(tmp_path / "away.jsonl")


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: data[:30] + b"x" * 30, lambda _: GOOD])
def test_a_damaged_archive_is_named(tmp_path: Path, damage: object) -> None:
    path = tmp_path / "a.jsonl.gz"
    content = b"\n".join(GOOD + b" " * n for n in range(200))
    path.write_bytes(damage(gzip.compress(content)))
    with pytest.raises(InputFileError, match=r"a\.jsonl\.gz: "):
        read(path)
