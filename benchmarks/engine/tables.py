"""The results of the benchmark as tables for the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from benchmarks.engine.figures import BenchRow, BenchSpeed, EngineBench
from benchmarks.engine.instruction_sets import NOT_HELD

TABLE_WIDTH = 140


def print_tables(measured: EngineBench) -> None:
    """Print the machine, a table of speeds for each number of cells, and a table of all figures with their bars."""
    console = Console(width=TABLE_WIDTH, highlight=False)
    machine, settings = measured.machine, measured.settings
    console.print(
        f"{machine['processor']}, {machine['cores']} cores, {', '.join(machine['features'])}; "
        f"a large float32 product runs at {machine['matrix_gflops']:.0f} GF/s on one thread"
    )
    if "kernels" in machine:
        console.print(f"our kernels use {', '.join(machine['kernels'])}")
    if machine.get("held"):
        held = ", ".join(f"{name}={value}" for name, value in machine["held"].items())
        console.print(f"held to a set by {held}; {NOT_HELD}")
    console.print(
        f"{settings['texts']:,} tweets of {settings['mean_tokens']:.1f} tokens on average, batches of "
        f"{settings['batch']}, the best of {settings['rounds']} rounds"
    )
    for hidden_size in dict.fromkeys(speed.hidden_size for speed in measured.speeds):
        console.print(_speeds(measured, hidden_size))
    console.print(_rows(measured.rows))
    console.print("ids to last hidden states, on one thread; GF/s and the share are of the recurrent product alone")


def _speeds(measured: EngineBench, hidden_size: int) -> Table:
    table = Table(title=f"{hidden_size} cells", title_justify="left")
    table.add_column("word network")
    for heading in ("texts/s", "GF/s", "of the machine's", "largest error", "mean error"):
        table.add_column(heading, justify="right")
    for speed in measured.speeds:
        if speed.hidden_size == hidden_size:
            table.add_row(speed.title, *_figures(speed, measured.machine["matrix_gflops"]))
    return table


def _figures(speed: BenchSpeed, matrix_gflops: float) -> tuple[str, ...]:
    errors = ("" if error is None else f"{error:.1e}" for error in (speed.max_difference, speed.mean_difference))
    return f"{speed.texts_per_s:,.0f}", f"{speed.gflops:.1f}", f"{speed.gflops / matrix_gflops:.0%}", *errors


def _rows(rows: list[BenchRow]) -> Table:
    table = Table("figure", "cells")
    for heading in ("measured", "bar", "met"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for row in rows:
        bar = f"{'>=' if row.bar.is_least else '<='} {_value(row.bar.limit, row.unit)}" if row.bar else ""
        met = {True: "yes", False: "[bold]no[/bold]", None: ""}[row.is_met]
        table.add_row(row.name, str(row.hidden_size or ""), _value(row.value, row.unit), bar, met, row.note)
    return table


def _value(value: float, unit: str) -> str:
    if unit == "x":
        return f"{value:.2f}x"
    if unit == "%":
        return f"{value:.1%}"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"
