"""The records of files: what a file holds, decoded as the worker would, so that what it would refuse is never sent."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from worker.errors import InputFileError, Reason, RecordError, SettingsError
from worker.records.codec import Codec
from worker.records.keys import encode_stream_key
from worker.records.types import Skipped
from worker.settings import Settings
from worker.tools.feed.cells import Cells, shown
from worker.tools.feed.csv_rows import csv_rows
from worker.tools.feed.files import (
    STANDARD_INPUT,
    FileOptions,
    Row,
    as_utf8,
    file_errors_named,
    format_of,
    name_of,
    open_file,
    require_text_file,
)
from worker.tools.feed.json_rows import (
    ValueSplitter,
    line_rows,
    starts_as_array,
    starts_as_one_line,
    starts_as_pretty,
)
from worker.tools.feed.parquet_rows import parquet_rows
from worker.tools.simulate import FeedRecord

# What a record may have beside its text, and how much longer a text may be as JSON, which writes \u00e9 for é.
_BESIDE_TEXT_BYTES = 1 << 20
_MAX_ESCAPED = 6
_FED_FORMATS = ("json", "confluent-json")

BY_NAME = FileOptions()

Refuse = Callable[[str], None]


def read_files(
    paths: Iterable[Path], topic: str, settings: Settings, refuse: Refuse, options: FileOptions = BY_NAME
) -> Iterator[FeedRecord]:
    """Yield the records of the files in order; calls `refuse` with the file, line and reason of each invalid one.

    Raises InputFileError when a file is missing, truncated or of an unknown kind.
    """
    return (record for record, _ in FileReader(topic, settings, options).read(paths, refuse))


class FileReader:
    """Reads files as records of one topic."""

    def __init__(self, topic: str, settings: Settings, options: FileOptions) -> None:
        self._topic = topic
        self._options = options
        payload, self._fields = settings.payload_of(topic)
        if payload.format not in _FED_FORMATS:
            raise SettingsError(f"feed sends JSON, and {topic} takes {payload.format}: give it a topic of format json")
        self._key_format = "text" if payload.key_format == "payload" else payload.key_format
        self._codec = Codec(settings)
        self.num_skipped = 0
        self._max_bytes = _MAX_ESCAPED * settings.max_text_bytes + _BESIDE_TEXT_BYTES

    def check(self, paths: Iterable[Path]) -> None:
        """Open each file. Raises InputFileError when one is missing or of an unknown kind, or its header is."""
        for path in paths:
            format_of(path, self._options)
            if path == STANDARD_INPUT:
                continue
            with file_errors_named(path, str), open_file(path) as file:
                file.peek(1)
            with closing(self._rows_of(path)) as rows:
                next(rows, None)

    def read(self, paths: Iterable[Path], refuse: Refuse) -> Iterator[tuple[FeedRecord, str]]:
        """Yield the records of the files in order, each with its file and line; `refuse` as in read_files."""
        for path in paths:
            name = name_of(path)
            for line, value, problem in self._rows_of(path):
                place = f"{name}:{line}"
                try:
                    if problem:
                        refuse(f"{place}: {problem}")
                    elif (record := self._record(value, line)) is not None:
                        yield record, place
                except RecordError as error:
                    hint = "; --encoding names another" if error.reason is Reason.INVALID_UTF8 else ""
                    refuse(f"{place}: {error.reason}: {error}{hint}")

    def _record(self, value: bytes, line: int) -> FeedRecord | None:
        """The record of a row; None for one that the worker would skip."""
        text = self._codec.decode(self._topic, None, value, 0, line, int(time.time() * 1000))
        if isinstance(text, Skipped):
            self.num_skipped += 1
            return None
        return FeedRecord(self._topic, encode_stream_key(text.stream, self._key_format), value, text.time_ms)

    def _rows_of(self, path: Path) -> Generator[Row, None, None]:
        """The rows of a file; errors name it, and the last line before them."""
        line, format_ = 0, format_of(path, self._options)
        with file_errors_named(path, lambda: f", after line {line}" if line else ""):
            if format_ == "parquet":
                yield from _named(path, parquet_rows(path, self._new_cells))
                return
            with open_file(path) as file:
                for row in _named(path, self._rows(file, format_)):
                    line = row.line
                    yield row

    def _rows(self, file: io.BufferedReader, format_: str) -> Iterator[Row]:
        require_text_file(file)
        if format_ in {"csv", "tsv"}:
            usual = "\t" if format_ == "tsv" else ","
            yield from csv_rows(file, self._options, usual, self._max_bytes, self._new_cells)
            return
        source = as_utf8(file, self._options)
        start = source.peek(1)
        is_array = starts_as_array(start, is_lines=format_ == "jsonl")
        if is_array or starts_as_pretty(start) or starts_as_one_line(start):
            yield from ValueSplitter(source, self._max_bytes, in_array=is_array).rows()
        else:
            yield from line_rows(source.readline, self._max_bytes)

    def _new_cells(self, first: Sequence[str]) -> Cells:
        """Raises InputFileError when no column holds the text."""
        cells = Cells(first, self._options, self._fields)
        try:
            self._codec.decode(
                self._topic, None, msgspec.json.encode(cells.payload(["x"] * cells.num_columns)), 0, 0, 0
            )
        except RecordError as error:
            if error.reason is Reason.NO_TEXT:
                raise InputFileError(
                    f"line 1: no column holds the text; the columns are {shown(cells.names)}. Name them with "
                    f"--columns or --layout, or the delimiter with --delimiter, or set the fields of {self._topic}"
                ) from error
        except UnicodeEncodeError as error:
            raise InputFileError("line 1: the header is in another encoding; name it with --encoding") from error
        return cells


def _named(path: Path, rows: Iterator[Row]) -> Iterator[Row]:
    try:
        yield from rows
    except InputFileError as error:
        raise InputFileError(f"{name_of(path)}: {error}") from error
