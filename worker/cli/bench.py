"""The commands that measure: bench engine."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from worker.cli.options import examples, with_settings
from worker.settings import Settings

if TYPE_CHECKING:
    from model import BenchRow, BenchSpeed, EngineBench

commands = typer.Typer()
bench = typer.Typer(no_args_is_help=True, help="Measure the engine beside its peers.")
commands.add_typer(bench, name="bench", rich_help_panel="The network")

TABLE_WIDTH = 140
SEED, NUM_STREAMS = 20, 300  # of the simulated tweets


@bench.command(
    epilog=examples(
        "sentiment bench engine",
        "sentiment bench engine --json --plots docs > bench.json",
        "sentiment bench engine --quick",
    )
)
@with_settings("checkpoint")
def engine(
    settings: Settings,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of the tables")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Every row in seconds; the figures mean nothing")] = False,
    plots: Annotated[
        Path | None, typer.Option("--plots", metavar="DIR", help="Draw roofline.svg and scaling.svg there")
    ] = None,
) -> None:
    """Time the engine beside torch, ONNX Runtime and VADER: the same work in one process, on one thread.

    Contestants take turns, each turn's processor time is taken, and the best turn counts. Other users of the machine
    still move all of it: believe the ratios. The checkpoint is for the rows of the whole engine.
    """
    from model import measure_engine, num_bench_texts

    texts = _simulated_tweets(num_bench_texts(quick=quick))
    with Console(stderr=True).status("preparing") as status:
        measured = measure_engine(
            texts,
            checkpoint=settings.checkpoint,
            quick=quick,
            plots=plots,
            on_progress=lambda line: status.update(f"measuring: {line}"),
        )
    if as_json:
        print(json.dumps(measured.to_dict()))
    else:
        _print_tables(measured)


def _simulated_tweets(num_texts: int) -> list[str]:
    from worker.tools.simulate import Feed

    topic = "tweets"
    feed = Feed(SEED, num_streams=NUM_STREAMS, topics=(topic, "reviews"))
    values = (record.value for record in feed if record.topic == topic)
    return [msgspec.json.decode(value)["text"] for value in islice(values, num_texts)]


def _print_tables(measured: EngineBench) -> None:
    console = Console(width=TABLE_WIDTH, highlight=False)
    machine, settings = measured.machine, measured.settings
    console.print(
        f"{machine['processor']}, {machine['cores']} cores, {', '.join(machine['features'])}; "
        f"a large float32 product runs at {machine['matrix_gflops']:.0f} GF/s on one thread"
    )
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
