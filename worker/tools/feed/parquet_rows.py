"""The records of Parquet files, a few rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from worker.errors import InputFileError
from worker.tools.feed.cells import Cells
from worker.tools.feed.files import STANDARD_INPUT, Row

_BATCH_ROWS = 1000


def parquet_rows(path: Path, new_cells: Callable[[Sequence[str]], Cells]) -> Iterator[Row]:
    """The rows of the file. A time without a zone is taken as UTC.

    Raises InputFileError when the file is no Parquet, its columns are not those of the topic's records, or pyarrow is
    not installed.
    """
    if path == STANDARD_INPUT:
        raise InputFileError("Parquet is read from its end, which standard input has not; save it as a file")
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
                for row in batch.to_pylist():
                    number += 1
                    yield _row(number, cells.payload(row[name] for name in names))
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise InputFileError(f"after row {number}: {error}" if number else str(error)) from error


def _row(number: int, payload: dict[str, Any]) -> Row:
    try:
        return Row(number, msgspec.json.encode(_with_zone(payload)))
    except (TypeError, ValueError, RecursionError) as error:
        return Row(number, b"", f"wrong_type: {error}")


def _with_zone(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    if isinstance(value, dict):
        return {name: _with_zone(inner) for name, inner in value.items()}
    return [_with_zone(inner) for inner in value] if isinstance(value, list) else value
