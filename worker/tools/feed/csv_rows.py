"""The records of CSV and TSV files, each as a JSON object of its cells.

A row that cannot be parsed is named by the line at which it begins, and parsing goes on with the line after that: a
quote that is never closed costs one row, not the rest of the file. A row that can be parsed only if a backslash makes a
letter of the quote behind it, as MySQL and Spark write quotes, is parsed so.
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from worker.errors import InputFileError
from worker.tools.feed.cells import Cells
from worker.tools.feed.files import FileOptions, Row, text_encoding

_DELIMITERS = (",", ";", "\t", "|")
_SKIP_CHARS = 1 << 16
_SEPARATOR = re.compile('"?sep=(.)"?')  # the first line of files that Excel writes
_QUOTED = re.compile(r'"[^"]*+"')


class Parsed(NamedTuple):
    """A row's cells, or what is wrong with it; `after_broken`: whether a row that is broken had swallowed its line."""

    line: int
    cells: list[str]
    problem: str = ""
    after_broken: bool = False


class _Lines:
    """An iterator over the lines of a text that can go back to the second line of the last row."""

    def __init__(self, file: io.TextIOBase, max_chars: int) -> None:
        self._file = file
        self._max_chars = max_chars
        self._again: deque[str] = deque()
        self._of_row: list[str] = []
        self._num_chars = 0
        self.first = 1
        self.is_cut = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._num_chars > self._max_chars:
            raise StopIteration
        line = self._again.popleft() if self._again else self._read()
        if not line:
            raise StopIteration
        self._of_row.append(line)
        self._num_chars += len(line)
        return line

    def _read(self) -> str:
        line = self._file.readline(self._max_chars + 1)
        if len(line) > self._max_chars and not line.endswith(("\n", "\r")):
            self.is_cut = True
            while (rest := self._file.readline(_SKIP_CHARS)) and not rest.endswith(("\n", "\r")):
                pass
        return line

    @property
    def last(self) -> int:
        """The number of the row's last line."""
        return self.first + len(self._of_row) - 1

    def next_row(self) -> None:
        """Begin a row after the lines of the last one."""
        self._begin(len(self._of_row))

    @property
    def have_escaped_quotes(self) -> bool:
        """Whether there is a quote behind a backslash in the row."""
        return any('\\"' in line for line in self._of_row)

    def rewind(self) -> None:
        """Read the row again, from its first line."""
        self._again.extendleft(reversed(self._of_row))
        self._begin(0)

    def go_back(self) -> None:
        """Begin a row after the first line of the last one."""
        self._again.extendleft(reversed(self._of_row[1:]))
        self._begin(1)

    def _begin(self, num_lines: int) -> None:
        self.first += num_lines
        self._of_row, self._num_chars, self.is_cut = [], 0, False


def parse(file: io.TextIOBase, delimiter: str, max_chars: int, *, skips_spaces: bool = False) -> Iterator[Parsed]:
    """Every row that is not empty, and what is wrong with those that cannot be parsed.

    skips_spaces: spaces behind a delimiter are no part of the cell.
    """
    csv.field_size_limit(max(csv.field_size_limit(), 2 * max_chars))
    lines = _Lines(file, max_chars)
    rows = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=skips_spaces)
    broken_until = 0
    while True:
        try:
            cells = next(rows, None)
            problem = f"text_too_long: the row has more than {max_chars} characters" if lines.is_cut else ""
            last = lines.last
        except csv.Error as error:
            last, problem = lines.last, _explained(error, lines, max_chars)
            cells = _with_escaped_quotes(lines, delimiter, skips_spaces=skips_spaces)
            problem = problem if cells is None else ""
            cells = cells or []
        first = lines.first
        if cells is None:
            return
        if problem:
            broken_until = max(broken_until, last)
            yield Parsed(first, [], problem)
            lines.go_back()
            continue
        lines.next_row()
        if cells:
            yield Parsed(first, cells, after_broken=first <= broken_until)


def _with_escaped_quotes(lines: _Lines, delimiter: str, *, skips_spaces: bool) -> list[str] | None:
    """The cells of a row in which backslashes stand before quotes; None where this does not make a row of it."""
    if not lines.have_escaped_quotes:
        return None
    lines.rewind()
    rows = csv.reader(lines, delimiter=delimiter, escapechar="\\", strict=True, skipinitialspace=skips_spaces)
    try:
        return next(rows, None)
    except csv.Error:
        return None


def _explained(error: csv.Error, lines: _Lines, max_chars: int) -> str:
    if lines.is_cut:
        return f"text_too_long: the row has more than {max_chars} characters"
    if "unexpected end" in str(error):
        where = f"line {lines.last}, where the file ends" if lines.last > lines.first else "the end of the file"
        if sum(map(len, lines._of_row)) > max_chars:
            where = f"line {lines.last}, {max_chars} characters later"
        return f"invalid_csv: a quote that opens in this row is not closed until {where}"
    if "expected after" in str(error):
        return f"invalid_csv: line {lines.last}: a quote is followed by something else than a delimiter ({error})"
    return f"invalid_csv: {error}"


def _first_line(file: io.BufferedReader, encoding: str) -> str:
    """As far as it is read already."""
    lines = file.peek(1).decode(encoding, errors="replace").splitlines()
    return lines[0].removeprefix("\ufeff") if lines else ""


def find_delimiter(file: io.BufferedReader, encoding: str, options: FileOptions, usual: str) -> str:
    """The option's delimiter, else the one that the first line has most often if it is a header, the usual one in
    doubt, else the usual one, unless the first line has only another one.
    """
    if options.delimiter is not None:
        return options.delimiter
    first = _first_line(file, encoding)
    if match := _SEPARATOR.fullmatch(first):
        return match[1]
    candidates = (usual, *_DELIMITERS)
    if options.has_header:
        names = _QUOTED.sub("", first)
        return max(candidates, key=names.count)
    return next((one for one in candidates if one in first), usual)


def csv_rows(
    file: io.BufferedReader,
    options: FileOptions,
    usual_delimiter: str,
    max_chars: int,
    new_cells: Callable[[Sequence[str]], Cells],
) -> Iterator[Row]:
    """The rows of the file. Raises InputFileError when its columns are not those of the topic's records."""
    encoding = text_encoding(file, options)
    delimiter = find_delimiter(file, encoding, options, usual_delimiter)
    first = _first_line(file, encoding)
    is_preceded = _SEPARATOR.fullmatch(first) is not None
    skips_spaces = options.has_header and first.count(delimiter) == first.count(f"{delimiter} ") > 0
    # What is not of the encoding costs its row: it is found in the row's cells as lone surrogates.
    text = io.TextIOWrapper(file, encoding=encoding, errors="surrogateescape", newline="")
    cells: Cells | None = None
    for row in parse(text, delimiter, max_chars, skips_spaces=skips_spaces):
        if is_preceded and row.line == 1:
            continue
        if cells is None:
            if not (row.problem or any(cell.strip() for cell in row.cells)):
                continue
            if row.problem:
                raise InputFileError(f"line {row.line}: {row.problem}")
            cells = new_cells(row.cells)
            if cells.is_header(row.cells):
                continue
        yield _encoded(row, cells, encoding)


def _encoded(row: Parsed, cells: Cells, encoding: str) -> Row:
    problem = row.problem
    if not problem and len(row.cells) > cells.num_columns:
        problem = f"invalid_csv: more cells ({len(row.cells)}) than columns ({cells.num_columns})"
    elif not problem and row.after_broken and len(row.cells) < cells.num_columns:
        problem = f"invalid_csv: fewer cells ({len(row.cells)}) than columns ({cells.num_columns}), after a broken row"
    if problem:
        return Row(row.line, b"", problem)
    payload: dict[str, Any] = cells.payload(row.cells)
    try:
        return Row(row.line, msgspec.json.encode(payload))
    except UnicodeEncodeError:
        return Row(row.line, b"", f"invalid_utf8: the row is not {encoding}; --encoding names another, such as cp1252")
