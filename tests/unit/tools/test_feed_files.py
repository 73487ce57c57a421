"""JSON files, compression, encodings, and the law of the reader: any bytes give records and messages, never more."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import InputFileError, RecordError, SettingsError
from worker.records.codec import Codec
from worker.settings import Settings
from worker.tools.feed import FeedSummary, FileOptions, read_files, try_files
from worker.tools.feed.files import FORMATS
from worker.tools.feed.reader import FileReader

ONE, TWO = b'{"stream":"a","text":"one"}', b'{"stream":"a","text":"two, [\\"{"}'
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd.compress,
}


def read(path: Path, content: bytes | None = None, **options: Any) -> tuple[list[bytes], list[str]]:
    """The values of the file, and what is refused, without the path."""
    if content is not None:
        path.write_bytes(content)
    refused: list[str] = []
    records = list(read_files([path], "tweets", Settings(), refused.append, FileOptions(**options)))
    return [record.value for record in records], [one.removeprefix(str(path)) for one in refused]


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


@pytest.mark.parametrize("kind", PACKERS)
def test_a_packed_file_is_read_by_its_name_or_its_first_bytes(tmp_path: Path, kind: str) -> None:
    packed = PACKERS[kind](ONE + b"\n") + PACKERS[kind](TWO)
    assert read(tmp_path / f"a.jsonl.{kind}", packed) == ([ONE, TWO], []), "of several parts"
    assert read(tmp_path / "a.jsonl", packed) == ([ONE, TWO], [])


@pytest.mark.parametrize("kind", PACKERS)
@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda _: ONE, lambda data: data[:40] + b"x" * 40])
def test_a_packed_file_that_is_damaged_is_named(tmp_path: Path, kind: str, damage: Callable[[bytes], bytes]) -> None:
    packed = PACKERS[kind](b"\n".join(ONE + b" " * n for n in range(600)))
    with pytest.raises(InputFileError, match=rf"a\.jsonl\.{kind}: "):
        read(tmp_path / f"a.jsonl.{kind}", damage(packed))


def test_an_archive_with_a_long_window_is_read(tmp_path: Path) -> None:
    options = {zstd.CompressionParameter.window_log: 28, zstd.CompressionParameter.enable_long_distance_matching: 1}
    path = tmp_path / "RC.zst"
    with zstd.open(path, "wb", options=options) as file:
        file.write(ONE)
    assert read(path, format="jsonl")[0] == [ONE]


def test_json_in_another_encoding_is_sent_as_utf_8(tmp_path: Path) -> None:
    line = '{"stream": "a", "text": "café"}'
    for encoding in ("utf-16", "utf-8-sig"):
        assert read(tmp_path / "a.jsonl", f"{line}\n{line}".encode(encoding))[0] == [line.encode()] * 2
    assert read(tmp_path / "a.jsonl", line.encode("latin-1"), encoding="latin-1")[0] == [line.encode()]
    values, (refused,) = read(tmp_path / "a.jsonl", line.encode("latin-1") + b"\n" + ONE)
    assert values == [ONE]
    assert refused.startswith(":1: invalid_utf8: ")


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


@pytest.mark.parametrize("content", [b"[" + ONE + b",\n" + TWO + b"]", b"\n [" + ONE + b",\n" + TWO + b"\n]"])
def test_an_array_is_read_behind_the_name_of_lines_too(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path / "a.jsonl", content) == ([ONE, TWO], [])


def test_a_line_may_be_a_list_of_one_object(tmp_path: Path) -> None:
    lines = [b"[" + ONE + b"]", b"[" + TWO + b"]"]
    assert read(tmp_path / "a.jsonl", b"\n".join(lines)) == (lines, [])


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_told_without_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    content = (ONE + b"\n" + TWO).decode().encode(encoding)
    assert read(tmp_path / "a.jsonl", content) == ([ONE, TWO], [])


@pytest.mark.parametrize(
    ("start", "message"),
    [
        *(
            (b"PK\x03\x04", "zip archive"),
            (b"PAR1", "--format parquet"),
            (b"\x04\x22\x4d\x18", "lz4"),
            (b"Obj\x01", "Avro"),
        ),
        *((b"a.csv".ljust(257, b"\0") + b"ustar", "tar archive"), (b"<!DOCTYPE html>", "HTML"), (b"ARROW1", "Arrow")),
        *((b"\xd0\xcf\x11\xe0", "Excel"), (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS")),
    ],
)
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_a_file_of_another_kind_is_named_at_once(tmp_path: Path, name: str, start: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(start + b"\xff\n" * 100)
    with pytest.raises(InputFileError, match=f"{name}: it is .*{message}"):
        FileReader("tweets", Settings(), FileOptions()).check([path])


def test_a_dry_run_reads_everything_and_asks_no_server(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "RT @a: x"}\n{"text": "fine", "author_id": "1"}\nx\n')
    settings = Settings(payloads={"tweets": "x-v2"}, kafka="nowhere.invalid")
    assert try_files(settings, [path], "tweets") == FeedSummary(1, 1)


def test_a_topic_that_takes_no_json_is_not_fed() -> None:
    with pytest.raises(SettingsError, match="tweets takes text"):
        FileReader("tweets", Settings(payloads={"tweets": "text"}), FileOptions())


def test_broken_utf_16_is_named_with_the_encoding(tmp_path: Path) -> None:
    with pytest.raises(
        InputFileError, match=r"a\.csv: it is not utf-16-le \(truncated data\); --encoding names another"
    ):
        read(tmp_path / "a.csv", "stream,text\na,b\n".encode("utf-16-le")[:-1])


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
