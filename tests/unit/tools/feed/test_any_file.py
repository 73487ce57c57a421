"""The law of the reader: any bytes give records and messages, never more, in little memory."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.tools.feed.file_values import ONE, TWO, read
from worker.errors import InputFileError, RecordError, SettingsError
from worker.records.codec import Codec
from worker.settings import Settings
from worker.tools.feed import FeedSummary, FileOptions, read_files, try_files
from worker.tools.feed.files import FORMATS
from worker.tools.feed.reader import FileReader


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv"])
def test_a_large_file_takes_no_more_memory_than_a_small_one(tmp_path: Path, name: str) -> None:
    rows = {
        "a.jsonl": (b"", ONE + b"\n", b""),
        "a.json": (b"[", ONE + b",\n", ONE + b"]"),
        "a.csv": (b"stream,text\n", b"a,b\n", b""),
    }

    def peak(num_rows: int) -> int:
        before, row, after = rows[name]
        path = tmp_path / name
        path.write_bytes(before + row * num_rows + after)
        tracemalloc.start()
        num_read = sum(1 for _ in read_files([path], "tweets", Settings(), str))
        memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert num_read >= num_rows
        return memory

    peak(1)  # what is loaded once counts in neither
    assert peak(12_000) < 2 * peak(3_000)


@given(content=st.binary(max_size=300), format_=st.sampled_from(sorted(set(FORMATS.values()) - {"parquet"})))
def test_any_bytes_are_records_or_named(tmp_path_factory: pytest.TempPathFactory, content: bytes, format_: str) -> None:
    check_named(tmp_path_factory, content, format_)


pieces = st.lists(
    st.sampled_from(
        [
            b'"',
            b"'",
            b",",
            b"\n",
            b"\r",
            b"stream,text\n",
            b"a,b",
            b"\\",
            b"{",
            b"}",
            b"[",
            b"]",
            ONE,
            TWO,
            b"\xff",
            b"\x00",
            b";",
            b"\t",
        ]
    ),
    max_size=40,
).map(b"".join)


@given(content=pieces, format_=st.sampled_from(["csv", "tsv", "json", "jsonl"]))
def test_any_mixture_of_signs_is_records_or_named(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, format_: str
) -> None:
    check_named(tmp_path_factory, content, format_)


def check_named(factory: pytest.TempPathFactory, content: bytes, format_: str) -> None:
    path = factory.getbasetemp() / "any"
    codec = Codec(Settings())
    try:
        values, refused = read(path, content, format=format_)
    except InputFileError as error:
        assert str(error).startswith(str(path))
        return
    for value in values:
        codec.decode("tweets", None, value, 0, 0, 1_790_000_000_000)
    assert all(one.split(":")[1].isdecimal() for one in refused)


@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line and line.strip(b" \t\r\n")), max_size=8))
def test_a_line_is_refused_exactly_when_the_worker_would_refuse_it(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    lines = [b"{}", *lines, ONE]  # no byte order mark at the start
    codec = Codec(Settings())

    def is_taken(line: bytes) -> bool:
        try:
            codec.decode("tweets", None, line.strip(b" \t\r\n"), 0, 0, 1_790_000_000_000)
        except RecordError:
            return False
        return True

    values, refused = read(tmp_path_factory.getbasetemp() / "lines.jsonl", b"\n".join(lines))
    assert values == [line.strip(b" \t\r\n") for line in lines if is_taken(line)]
    assert len(refused) == len(lines) - len(values)


@given(
    st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3), max_size=6),
    st.sampled_from([None, 1]),
)
def test_an_array_gives_the_elements_that_were_written(
    tmp_path_factory: pytest.TempPathFactory, more: list[dict[str, str]], indent: int | None
) -> None:
    payloads = [fields | {"stream": "a", "text": "t", "id": "1", "time": None, "final": None} for fields in more]
    path = tmp_path_factory.getbasetemp() / "array.json"
    values, refused = read(path, json.dumps(payloads, indent=indent).encode())
    assert ([json.loads(value) for value in values], refused) == (payloads, [])


@pytest.mark.parametrize("name", ["away.jsonl", "folder.jsonl", "odd.txt"])
def test_a_file_that_cannot_be_opened_is_named_before_any_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "odd.txt").write_bytes(ONE)
    (tmp_path / "good.jsonl").write_bytes(ONE)
    with pytest.raises(InputFileError, match=name):
        FileReader("tweets", Settings(), FileOptions()).check([tmp_path / "good.jsonl", tmp_path / name])


def test_a_dry_run_reads_everything_and_asks_no_server(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "RT @a: x"}\n{"text": "fine", "author_id": "1"}\nx\n')
    settings = Settings(payloads={"tweets": "x-v2"}, kafka="nowhere.invalid")
    assert try_files(settings, [path], "tweets") == FeedSummary(1, 1)


def test_a_topic_that_takes_no_json_is_not_fed() -> None:
    with pytest.raises(SettingsError, match="tweets takes text"):
        FileReader("tweets", Settings(payloads={"tweets": "text"}), FileOptions())
