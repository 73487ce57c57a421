"""From the cells of a row to a payload, as the worker reads it from the topic."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from worker.errors import InputFileError
from worker.payloads.paths import split_path
from worker.payloads.payload import FieldPaths, as_paths
from worker.records.unicode import printable
from worker.tools.feed.files import FileOptions

NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_EMPTY = ("", "\\N")  # the second as MySQL and PostgreSQL write null
TRUTHS = {"true": True, "1": True, "false": False, "0": False}


class Cells:
    """Turns rows of a table into payloads: empty cells are left out, columns land where the topic's fields are read.

    first: the table's first row. Raises InputFileError when it has not the columns that the options name.
    """

    def __init__(self, first: Sequence[str], options: FileOptions, fields: FieldPaths) -> None:
        self._options = options
        self._has_header = options.has_header
        self.names = _renamed(first, options.all_columns) if self._has_header else options.all_columns
        self.num_columns = len(self.names)
        self._steps = _places_in_payload(self.names, fields)
        self._times = self._places(fields.time)
        self._finals = self._places(fields.final)

    def is_header(self, first: Sequence[str]) -> bool:
        """Whether the first row holds names."""
        return bool(first) and self._has_header

    def payload(self, row: Iterable[Any]) -> dict[str, Any]:
        """The payload of a row whose cells are text, or values of a typed table."""
        payload: dict[str, Any] = {}
        for index, (steps, cell) in enumerate(zip(self._steps, row, strict=False)):
            if cell is None or cell in _EMPTY or not steps:
                continue
            inner = payload
            for step in steps[:-1]:
                inner = inner.setdefault(step, {})
            inner[steps[-1]] = self._typed(index, cell) if isinstance(cell, str) else cell
        return payload

    def _typed(self, index: int, cell: str) -> Any:
        if index in self._times:
            if NUMBER.fullmatch(cell):
                return float(cell)
            return self._options.layout.time(cell) if self._options.layout else cell
        return TRUTHS.get(cell.lower(), cell) if index in self._finals else cell

    def _places(self, paths: str | tuple[str, ...]) -> set[int]:
        names = {_name(path) for path in as_paths(paths)}
        return {index for index, name in enumerate(self.names) if name in names}


def _places_in_payload(names: Sequence[str], fields: FieldPaths) -> list[list[str]]:
    """Where the cells of each column go; nowhere where a field's path leads through a column of a shorter name.

    Raises InputFileError when two columns go to one field.
    """
    steps = [_steps(name, fields) for name in names]
    above = {tuple(one[:number]) for one in steps for number in range(1, len(one))}
    places = [[] if tuple(one) in above else one for one in steps]
    read = {split_path(path) for paths in fields.model_dump().values() for path in as_paths(paths)}
    twice = [
        name for name, place in zip(names, places, strict=True) if tuple(place) in read and places.count(place) > 1
    ]
    if twice:
        raise InputFileError(f"line 1: more than one column is named {twice[0]}; name the columns with --columns")
    return places


def _renamed(header: Sequence[str], columns: Sequence[str]) -> tuple[str, ...]:
    renames = {old: new for new, _, old in (one.partition("=") for one in columns) if old}
    names = tuple(name.strip() for name in header)
    missing = [old for old in (*renames, *(one for one in columns if one and "=" not in one)) if old not in names]
    if missing:
        raise InputFileError(f"line 1: no column is named {' or '.join(missing)}; the columns are {shown(names)}")
    return tuple(renames.get(name, name) for name in names)


def shown(names: Iterable[str]) -> str:
    """The names of columns in a message."""
    return ", ".join(map(printable, names))


def _name(path: str) -> str:
    """The column that a path means: in a table a dot is a letter like others."""
    return path.replace("\\.", ".")


def _steps(name: str, fields: FieldPaths) -> list[str]:
    """Where the cells of the column `name` go: where a field of the topic is read, or under the column's own name."""
    if not name:
        return []
    for paths in fields.model_dump().values():
        for path in as_paths(paths):
            if _name(path) == name:
                return list(split_path(path))
    return [name]
