"""The records of Parquet files, a few rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from worker.errors import InputFileError
from worker.payloads.times import EPOCH
from worker.tools.feed.cells import Cells
from worker.tools.feed.files import COMPRESSIONS, STANDARD_INPUT, Row

_BATCH_ROWS = 1000
_PER_SECOND: Final = {"s": 1, "ms": 1000, "us": 1_000_000, "ns": 1_000_000_000}


def parquet_rows(path: Path, new_cells: Callable[[Sequence[str]], Cells]) -> Iterator[Row]:
    """The rows of the file. A time without a zone is taken as UTC.

    Raises InputFileError when the file is no Parquet, its columns are not those of the topic's records, or pyarrow is
    not installed.
    """
    if path == STANDARD_INPUT:
        raise InputFileError("Parquet is read from its end, which standard input has not; save it as a file")
    if path.suffix.lower() in COMPRESSIONS:
        raise InputFileError("Parquet has a compression of its own; unpack the file")
    try:
        import pyarrow  # noqa: PLC0415 - the extra `parquet`
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise InputFileError(f"Parquet needs pyarrow ({error}): pip install '.[parquet]'") from error
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            cells = new_cells(names)
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                for row in zip(*map(_values, batch.columns), strict=True):
                    number += 1
                    yield _row(number, names, row, cells)
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        message = " ".join(str(error).split())
        raise InputFileError(f"after row {number}: {message}" if number else message) from error


class _Unreadable(NamedTuple):
    """A cell that Python cannot hold, and why."""

    why: str


def _values(column: Any) -> list[Any]:
    """The cells of a column, each by itself where Python cannot hold one of them."""
    try:
        values: list[Any] = column.to_pylist()
    except Exception:  # pyarrow raises errors of several kinds, and ValueError for nanoseconds
        values = [_value(cell) for cell in column]
    return values


def _value(cell: Any) -> Any:
    try:
        return cell.as_py()
    except Exception as error:
        unit = getattr(cell.type, "unit", None)
        if unit not in _PER_SECOND or not hasattr(cell.type, "tz"):
            return _Unreadable(f"{type(error).__name__}: {error}")
    try:
        return EPOCH + timedelta(microseconds=cell.value * 1_000_000 // _PER_SECOND[unit])
    except OverflowError:
        return cell.value  # beyond the year 9999: the worker takes it for absurd


def _row(number: int, names: Sequence[str], row: Sequence[Any], cells: Cells) -> Row:
    problems = (f"{name}: {cell.why}" for name, cell in zip(names, row, strict=True) if isinstance(cell, _Unreadable))
    problem = next(problems, None)
    if problem is not None:
        return Row(number, b"", f"wrong_type: {problem}")
    try:
        return Row(number, msgspec.json.encode(_plain(cells.payload(row))))
    except (TypeError, ValueError, RecursionError) as error:
        return Row(number, b"", f"wrong_type: {error}")


def _plain(value: Any) -> Any:
    """With a zone for times, and text for bytes, which older writers of Parquet do not tell from each other."""
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    if isinstance(value, bytes):
        with suppress(UnicodeDecodeError):
            return value.decode()
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
