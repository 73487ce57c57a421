"""Compressed files and files in other encodings; files of another kind are named."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd

from tests.unit.tools.feed.file_values import ONE, TWO, read
from worker.errors import InputFileError
from worker.settings import Settings
from worker.tools.feed import FileOptions
from worker.tools.feed.reader import FileReader

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd.compress,
}


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


def test_broken_utf_16_is_named_with_the_encoding(tmp_path: Path) -> None:
    with pytest.raises(
        InputFileError, match=r"a\.csv: it is not utf-16-le \(truncated data\); --encoding names another"
    ):
        read(tmp_path / "a.csv", "stream,text\na,b\n".encode("utf-16-le")[:-1])
