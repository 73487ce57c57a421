"""The records of JSON files, each as the bytes that stand in the file: lines, or the elements of an array.

An array is split at the commas between its elements, without a look at what the elements hold: a broken one does not
hide the others, and only one of them is in memory.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator

import msgspec

from worker.tools.feed.files import Row

_CHUNK_BYTES = 1 << 16
_SPACE = b" \t\r\n"
# The last alternative is a string whose end has not been read yet.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},]|"', re.DOTALL)
_IS_ARRAY = re.compile(rb"\s*\[\s*[{\]]")
_IS_NEXT = re.compile(rb"\}[ \t]*\{")
_IS_PRETTY = re.compile(rb"\s*\{[ \t]*\r?\n")

Readline = Callable[[int], bytes]


def bounded_lines(readline: Readline, max_bytes: int) -> Iterator[tuple[int, bytes | None]]:
    """The lines and their numbers; None for one of more than `max_bytes`, which is never in memory as a whole."""
    number = 0
    while line := readline(max_bytes + 1):
        number += 1
        if len(line) <= max_bytes or line.endswith(b"\n"):
            yield number, line
            continue
        while (rest := readline(_CHUNK_BYTES)) and not rest.endswith(b"\n"):
            pass
        yield number, None


def line_rows(readline: Readline, max_bytes: int) -> Iterator[Row]:
    """One record a line; empty lines are passed over."""
    for number, line in bounded_lines(readline, max_bytes):
        if line is None:
            yield Row(number, b"", f"text_too_long: the line has more than {max_bytes} bytes")
        elif value := line.strip(_SPACE):
            yield from _values_of(value, number, max_bytes)


def _values_of(line: bytes, number: int, max_bytes: int) -> Iterator[Row]:
    """The record of a line; each of several objects where nothing stands between them."""
    if _IS_NEXT.search(line) and not _is_json(line):
        rows = list(ValueSplitter(io.BytesIO(line), max_bytes, in_array=False).rows())
        if not any(row.problem for row in rows):
            yield from (Row(number, row.value) for row in rows)
            return
    yield Row(number, line)


def starts_as_array(start: bytes, *, is_lines: bool) -> bool:
    """Whether a JSON file that starts so holds an array of objects. is_lines: it should have a value on each line."""
    return _IS_ARRAY.match(start) is not None and not (is_lines and _is_json(start.lstrip().partition(b"\n")[0]))


def starts_as_pretty(start: bytes) -> bool:
    """Whether a JSON file that starts so holds objects of several lines each."""
    return _IS_PRETTY.match(start) is not None


def starts_as_one_line(start: bytes) -> bool:
    """Whether a JSON file that starts so holds objects with nothing between them, as Amazon Data Firehose writes them.

    Only where the first line does not end soon: lines are read one by one, so that a broken one costs itself alone.
    """
    return b"\n" not in start and _IS_NEXT.search(start) is not None


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


class ValueSplitter:
    """The values of a JSON file that holds an array of them or, `in_array` false, one after the other."""

    def __init__(self, file: io.BufferedIOBase, max_bytes: int, *, in_array: bool) -> None:
        self._file = file
        self._max_bytes = max_bytes
        self._in_array = in_array
        self._buffer = b""
        self._scanned = 0
        self._line = 1
        self._depth = 0
        self._over = False

    def rows(self) -> Iterator[Row]:
        """Every value, and what is wrong between them."""
        if self._in_array:
            self._read()
            self._drop(self._buffer.index(b"[") + 1)
        while not self._over:
            end = self._find_end()
            if end is None:
                break
            yield from self._take(end)
        else:
            self._read()
        rest = self._buffer.strip(_SPACE)
        self._drop_space()
        if len(rest) > self._max_bytes:
            why = f"a value has more than {self._max_bytes} bytes; is a quote or a bracket not closed?"
        elif self._over:
            why = "the array has ended before" if rest else ""
        else:
            if rest and self._in_array and self._depth == 0:
                yield Row(self._line, rest)
                rest = b""
            why = "the file ends inside of a value" if rest else "the file ends before the array does" * self._in_array
        if why:
            yield Row(self._line, b"", f"invalid_json: {why}")

    def _find_end(self) -> int | None:
        """Where the next value ends; None where the file does, or a value has no end within the bound."""
        while True:
            for token in _TOKEN.finditer(self._buffer, self._scanned):
                sign = token[0]
                if sign == b'"':
                    self._scanned = token.start()
                    break
                self._scanned = token.end()
                if sign in b"[{":
                    self._depth += 1
                elif sign in b"]}":
                    self._depth -= 1
                    if self._depth < 0:
                        self._over = True
                        return token.start()
                    if self._depth == 0 and not self._in_array:
                        return token.end()
                elif sign == b"," and self._depth == 0 and self._in_array:
                    return token.start()
            else:
                self._scanned = len(self._buffer)
            if len(self._buffer) > self._max_bytes or not self._read():
                return None

    def _take(self, end: int) -> Iterator[Row]:
        value = self._buffer[:end].strip(_SPACE)
        self._drop_space()
        if len(value) > self._max_bytes:
            yield Row(self._line, b"", f"text_too_long: the value has more than {self._max_bytes} bytes")
        elif value:
            yield Row(self._line, value)
        elif not self._over:
            yield Row(self._line, b"", "invalid_json: nothing stands before the comma")
        self._drop(self._scanned)

    def _drop_space(self) -> None:
        self._drop(len(self._buffer) - len(self._buffer.lstrip(_SPACE)))

    def _drop(self, num_bytes: int) -> None:
        self._line += self._buffer.count(b"\n", 0, num_bytes)
        self._buffer = self._buffer[num_bytes:]
        self._scanned = max(0, self._scanned - num_bytes)

    def _read(self) -> bool:
        chunk = self._file.read1(_CHUNK_BYTES)
        self._buffer += chunk
        return bool(chunk)
