"""The result of a measurement, as a table for the terminal and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

TABLE_WIDTH = 140


class Column(NamedTuple):
    """A column of the table: the key of its value in the rows, its heading, and how a value is shown."""

    key: str
    heading: str
    format: str | Callable[[Any], str] = "{:,.0f}"

    def show(self, value: Any) -> str:
        """The value as text; empty for None."""
        if value is None:
            return ""
        return self.format.format(value) if isinstance(self.format, str) else self.format(value)


@dataclass(frozen=True)
class Ratio:
    """One row divided by another, column by column."""

    name: str
    ratios: Mapping[str, float]


@dataclass
class Report:
    """Rows of one measurement, each with at least its name under "program".

    columns: those of the table; rows may hold more, which JSON alone has. ratios: rows divided by others.
    notes, extras: lines and tables below the table. problems: why the figures must not be used.
    """

    title: str
    columns: Sequence[Column]
    rows: list[dict[str, Any]]
    ratios: list[Ratio] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    extras: list[Table] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add_ratio(self, name: str, of: Mapping[str, Any], to: Mapping[str, Any], keys: Sequence[str]) -> None:
        """Add the ratios of `of` to `to` under `keys`, without those that cannot be computed."""
        ratios = {key: of[key] / to[key] for key in keys if of.get(key) is not None and to.get(key)}
        self.ratios.append(Ratio(name, ratios))

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {"rows": self.rows, "ratios": [vars(ratio) for ratio in self.ratios], "problems": self.problems}


def print_report(console: Console, report: Report) -> None:
    """Print the table, then its notes and problems."""
    table = Table(title=report.title, box=SIMPLE, pad_edge=False, title_justify="left")
    table.add_column("")
    for column in report.columns:
        table.add_column(column.heading, justify="right", no_wrap=True)
    for row in report.rows:
        if reason := row.get("skipped"):
            table.add_row(f"{row['program']}: skipped, {reason}")
        else:
            table.add_row(row["program"], *(column.show(row.get(column.key)) for column in report.columns))
    for ratio in report.ratios:
        cells = (f"{ratio.ratios[each.key]:.2f}x" if each.key in ratio.ratios else "" for each in report.columns)
        table.add_row(ratio.name, *cells)
    console.print(table)
    for extra in report.extras:
        console.print(extra)
    for line in report.notes:
        console.print(line)
    for line in report.problems:
        console.print(f"[bold]problem:[/bold] {line}")


def megabytes(num_bytes: float) -> str:
    """Bytes as MB, for a column."""
    return f"{num_bytes / 1e6:,.0f}"
