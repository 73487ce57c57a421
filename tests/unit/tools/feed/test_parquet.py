"""Parquet as people have it: types, nested columns, cells that Python cannot hold, text stored as bytes."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tests.unit.tools.feed.table_rows import ACME, read
from worker.payloads.payload import FieldPaths


def test_rows_of_parquet_are_objects_with_their_types(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
    rows = [
        {"stream": "acme", "text": "great", "time": datetime(2026, 9, 21), "stars": 5, "price": Decimal("1.5")},
        {"stream": "acme", "text": None, "time": None, "stars": None, "price": None},
    ]
    from pyarrow import parquet  # noqa: PLC0415

    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    payloads, (refused,) = read(tmp_path / "a.parquet")
    assert payloads == [ACME | {"time": "2026-09-21T00:00:00Z", "stars": 5, "price": "1.5"}]
    assert refused.startswith(":2: no_text")


def test_a_nested_column_of_parquet_is_read_at_its_path(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
    from pyarrow import parquet  # noqa: PLC0415

    rows = [{"user": {"name": "acme"}, "texts": ["great", "fine"]}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.pq")
    fields = FieldPaths(stream="user.name", text="texts.0")
    assert read(tmp_path / "a.pq", fields=fields) == (rows, [])


def test_a_cell_of_parquet_that_python_cannot_hold_costs_its_row_or_its_time_alone(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
    from pyarrow import parquet  # noqa: PLC0415

    texts = pyarrow.array([b"caf\xe9", b"great", b"great", b"great"], pyarrow.binary()).view(pyarrow.string())
    nanoseconds = pyarrow.array([0, 1_530_998_951_000_000_001, 0, 0], pyarrow.timestamp("ns"))
    far = pyarrow.array([0, 0, 1 << 62, 0], pyarrow.timestamp("ms"))
    zoned = pyarrow.array([0, 0, 0, 1_530_998_951], pyarrow.timestamp("s", "Nowhere/City"))
    table = {"stream": ["acme"] * 4, "text": texts, "ns": nanoseconds, "far": far, "zoned": zoned}
    parquet.write_table(pyarrow.table(table), tmp_path / "a.parquet")
    rows, refused = read(tmp_path / "a.parquet")
    assert len(refused) == 1
    assert refused[0].startswith(":1: wrong_type: text: UnicodeDecodeError")
    assert [row["ns"] for row in rows][:1] == ["2018-07-07T21:29:11Z"]
    assert rows[1]["far"] == 1 << 62
    assert rows[2]["zoned"] == "2018-07-07T21:29:11Z"


def test_text_that_older_writers_of_parquet_store_as_bytes_is_text(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
    from pyarrow import parquet  # noqa: PLC0415

    parquet.write_table(pyarrow.table({"stream": [b"acme"], "text": [b"great"]}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet") == ([ACME], [])
