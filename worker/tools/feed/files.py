"""Opens the files of a feed: their compression, format and encoding, by name, by option or by their first bytes."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from backports import zstd

from worker.errors import InputFileError
from worker.tools.feed.layouts import Layout

STANDARD_INPUT = Path("-")
_CHUNK_CHARS = 1 << 14
MAX_WINDOW_LOG = 31  # zstd --long=31, in which large archives are packed
FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


_UTF_16 = [[True, False, True, False], [False, True, False, True]]


class FileOptions(NamedTuple):
    """How files are read where their names do not say it.

    format: one of FORMATS' values. columns: names of a file without header, or old=new names of one that has it.
    """

    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    columns: tuple[str, ...] = ()
    layout: Layout | None = None

    @property
    def all_columns(self) -> tuple[str, ...]:
        """The columns, also those of the layout."""
        return self.columns or (self.layout.columns if self.layout else ())

    @property
    def has_header(self) -> bool:
        """Whether the first row of a table holds the names of its columns."""
        return not self.all_columns or any("=" in one for one in self.all_columns)


class Row(NamedTuple):
    """One record of a file: the line at which it begins (in Parquet its number), and its payload or what is wrong."""

    line: int
    value: bytes
    problem: str = ""


def _open_zstd(file: BinaryIO) -> Any:
    return zstd.ZstdFile(file, options={zstd.DecompressionParameter.window_log_max: MAX_WINDOW_LOG})


_DECOMPRESSORS: dict[str, tuple[bytes, Callable[[BinaryIO], Any]]] = {
    ".gz": (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file)),
    ".bz2": (b"BZh", bz2.BZ2File),
    ".xz": (b"\xfd7zXZ\x00", lzma.LZMAFile),
    ".zst": (b"\x28\xb5\x2f\xfd", _open_zstd),
}
COMPRESSIONS = tuple(_DECOMPRESSORS)
_NOT_TEXT = {
    b"PK\x03\x04": "a zip archive or a spreadsheet; unpack it, or save it as CSV",
    b"\x04\x22\x4d\x18": "packed with lz4; unpack it",
    b"PAR1": "Parquet; give it this ending, or --format parquet",
    b"Obj\x01": "an Avro file; convert it to JSON lines",
    b"ORC": "an ORC file; convert it to Parquet",
    b"SQLite format 3": "an SQLite database; export the table as CSV",
    b"\xd0\xcf\x11\xe0": "a spreadsheet of Excel; save it as CSV",
    b"ARROW1": "an Arrow file; convert it to Parquet",
    b"\x1f\x9d": "packed with compress; unpack it",
    b"7z\xbc\xaf": "a 7z archive; unpack it",
    b"Rar!": "a RAR archive; unpack it",
    b"%PDF": "a PDF",
    b"<": "HTML or XML, perhaps the message of a server in place of the file",
    b"version https://git-lfs": "a pointer of Git LFS; `git lfs pull` fetches the file",
}
_TAR_AT, _TAR = 257, b"ustar"


def name_of(path: Path) -> str:
    """The file's name in messages."""
    return "standard input" if path == STANDARD_INPUT else str(path)


def format_of(path: Path, options: FileOptions) -> str:
    """The format of the file. Raises InputFileError when neither the options nor its name tell it."""
    if options.format is not None:
        return options.format
    if options.layout is not None:
        return "csv"
    if path == STANDARD_INPUT:
        return "json"
    suffix = next((one for one in (end.lower() for end in reversed(path.suffixes)) if one not in _DECOMPRESSORS), "")
    if suffix not in FORMATS:
        names, packed = ", ".join(FORMATS), ", ".join(_DECOMPRESSORS)
        raise InputFileError(f"{path}: the name should end in {names}, or one of these with {packed}; or give --format")
    return FORMATS[suffix]


@contextmanager
def file_errors_named(path: Path, place: Callable[[], str]) -> Iterator[None]:
    """Raises InputFileError in place of what the operating system or a decompressor raises; `place`: how far it is."""
    try:
        yield
    except (EOFError, zlib.error, lzma.LZMAError, zstd.ZstdError) as error:
        raise InputFileError(f"{name_of(path)}: {error}{place()}") from error
    except UnicodeDecodeError as error:  # UTF-16 and UTF-32 cannot be read on behind what is not of them
        problem = f"it is not {error.encoding} ({error.reason}); --encoding names another"
        raise InputFileError(f"{name_of(path)}: {problem}{place()}") from error
    except OSError as error:
        raise InputFileError(f"{name_of(path)}: {error.strerror or error}{place()}") from error


@contextmanager
def open_file(path: Path) -> Iterator[io.BufferedReader]:
    """The file's content, decompressed. Raises what the operating system raises."""
    with open(0, "rb", closefd=False) if path == STANDARD_INPUT else path.open("rb") as file:
        opened: Any = file
        for suffix, (magic, decompress) in _DECOMPRESSORS.items():
            if path.suffix.lower() == suffix or file.peek(len(magic))[: len(magic)] == magic:
                opened = io.BufferedReader(decompress(cast(BinaryIO, file)))
                break
        yield opened


def require_text_file(file: io.BufferedReader) -> None:
    """Raises InputFileError where the file begins as one of another kind."""
    start = file.peek(_TAR_AT + len(_TAR))
    if start[_TAR_AT:].startswith(_TAR):
        raise InputFileError("it is a tar archive; unpack it")
    for magic, what in _NOT_TEXT.items():
        if start.startswith(magic):
            raise InputFileError(f"it is {what}")


def text_encoding(file: io.BufferedReader, options: FileOptions) -> str:
    """The encoding of a text file: the one of the options, else that of its byte order mark, else UTF-8.

    UTF-16 is told without a mark, too, by the zero bytes of its first two characters.
    """
    start = file.peek(4)[:4]
    marked = next((name for mark, name in BOMS.items() if start.startswith(mark)), None)
    if marked is None and len(start) == 4 and [byte == 0 for byte in start] in _UTF_16:
        marked = "utf-16-be" if start[0] == 0 else "utf-16-le"
    named = options.encoding or (options.layout.encoding if options.layout else None)
    if named is not None and not (marked and codecs.lookup(named).name.startswith("utf")):
        return named
    return marked or "utf-8"


def reads_text(encoding: str) -> bool:
    """Whether text can be read in the encoding, also behind a byte that is not of it; not so with zip or idna."""
    try:
        io.TextIOWrapper(io.BytesIO(b"a\0\0\0"), encoding, errors="surrogateescape").read()
    except (LookupError, ValueError):
        return False
    return True


class _Recoded(io.RawIOBase):
    """A text as UTF-8; bytes that are not of its encoding stay as they are, and so are no UTF-8."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = self._text.read(_CHUNK_CHARS).encode("utf-8", "surrogateescape")
        num_bytes = min(len(buffer), len(self._left))
        buffer[:num_bytes], self._left = self._left[:num_bytes], self._left[num_bytes:]
        return num_bytes


def as_utf8(file: io.BufferedReader, options: FileOptions) -> io.BufferedReader:
    """The file in UTF-8, without a byte order mark."""
    encoding = codecs.lookup(text_encoding(file, options)).name
    if encoding == "utf-8-sig":
        file.read(len(codecs.BOM_UTF8))
    if encoding in {"utf-8", "utf-8-sig"}:
        return file
    return io.BufferedReader(_Recoded(io.TextIOWrapper(file, encoding, errors="surrogateescape", newline="")))
