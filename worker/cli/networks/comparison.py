"""The command that compares checkpoints, or presets, with each other: compare."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from worker.cli.options import examples, expected_errors
from worker.errors import SettingsError

if TYPE_CHECKING:
    from model import Compared, Row, System

commands = typer.Typer()
_PANEL = "The network"


@commands.command(
    rich_help_panel=_PANEL,
    epilog=examples(
        "sentiment compare default runs/large/checkpoint --data data",
        "sentiment compare default small --data data --frontier frontier.svg",
        "sentiment compare --data data --run runs/presets",
        "sentiment compare --quick",
    ),
)
def compare(
    checkpoints: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CHECKPOINT...]",
            help="Two or more: folders, or packaged ones (default, en, small). None: compare the presets",
            show_default=False,
        ),
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Folder with the labelled corpora")] = None,
    frontier: Annotated[
        Path | None,
        typer.Option("--frontier", metavar="FILE", help="Also time the checkpoints, and plot accuracy against speed"),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run", metavar="DIR", help="Folder of the presets' runs, table and curves; resumes the runs that it holds"
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Small versions of the presets, which take seconds and need neither --data nor --run"
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table")] = False,
) -> None:
    """Measure checkpoints side by side on the data that their training held out. The best figures are bold.

    Without checkpoints, train every preset (see train --preset) and show its figures beside the published ones.
    """
    with expected_errors():
        if checkpoints:
            if run or quick:
                raise SettingsError("--run and --quick are for presets, which are compared when no CHECKPOINT is named")
            shown = _compare_checkpoints(checkpoints, data, frontier)
        else:
            if frontier:
                raise SettingsError("--frontier is for checkpoints: name two or more")
            shown = _compare_presets(data, run, quick=quick)
    if as_json:
        print(json.dumps(shown.plain))
    else:
        Console().print(shown.table)
        for note in shown.notes:
            print(f"- {note}")


class _Shown(NamedTuple):
    """A comparison as JSON and as a table with notes."""

    plain: dict[str, Any]
    table: Table
    notes: Sequence[str] = ()


def _compare_checkpoints(checkpoints: Sequence[str], data: Path | None, frontier: Path | None) -> _Shown:
    folders = {name: Path(name) for name in checkpoints}
    if len(folders) < 2:
        raise SettingsError(
            "compare takes two or more different checkpoints: folders, or names of packaged checkpoints"
        )
    if data is None:
        raise SettingsError("checkpoints are measured on labelled texts: --data DIR")

    from model import compare_checkpoints

    with Console(stderr=True).status("scoring") as status:
        compared = compare_checkpoints(
            folders,
            data,
            frontier=frontier,
            on_row=lambda name, row: status.update(f"scoring; {name}: {row.corpus} ({row.mode})"),
        )
    notes = (f"accuracy against speed: {frontier}",) if frontier else ()
    return _Shown({"checkpoints": [each.to_dict() for each in compared]}, _comparison(compared), notes)


def _compare_presets(data: Path | None, run: Path | None, *, quick: bool) -> _Shown:
    if not quick and (data is None or run is None):
        raise SettingsError(
            "compare takes two or more different checkpoints. To compare the presets, which takes hours, name --data "
            "and --run; --quick takes seconds and needs neither"
        )

    from model import compare_baselines

    with TemporaryDirectory() as scratch, Console(stderr=True).status("training") as status:
        systems = compare_baselines(
            data,
            run or Path(scratch),
            quick=quick,
            on_progress=lambda name, share, line: status.update(f"{name}: {share:.0%}, {line}"),
        )
    notes = [f"{system.baseline.name}: {system.note}" for system in systems]
    if run:
        notes.append(f"table and curves: {run}")
    return _Shown({"systems": [system.to_dict() for system in systems]}, _systems(systems), notes)


def _comparison(compared: Sequence[Compared]) -> Table:
    """The sizes of each checkpoint, then its accuracy and macro recall for each corpus and mode."""
    table = Table("corpus", "read", caption="accuracy, macro recall")
    for each in compared:
        table.add_column(Text(each.checkpoint), justify="right")
    table.add_row("parameters", "", *(f"{each.num_parameters:,}" for each in compared))
    table.add_row("size on disk", "", *(f"{each.size_bytes / 1e6:,.2f} MB" for each in compared))
    if all(each.tweets_per_s for each in compared):
        table.add_row("tweets/s on one core", "", *(f"{each.tweets_per_s:,.0f}" for each in compared))
    table.add_section()
    measured = [{(row.corpus, row.mode): row for row in each.evaluation.rows} for each in compared]
    for corpus, mode in max(measured, key=len):  # a network trained on all films has no row for films
        rows = [rows.get((corpus, mode)) for rows in measured]
        best = max(row.accuracy for row in rows if row), max(row.macro_recall for row in rows if row)
        table.add_row(corpus, mode, *(_figures(row, *best) if row else Text("trained on") for row in rows))
    return table


def _figures(row: Row, best_accuracy: float, best_recall: float) -> Text:
    return Text.assemble(
        (f"{row.accuracy:.2%}", "bold" if row.accuracy == best_accuracy else ""),
        "  ",
        (f"{row.macro_recall:.4f}", "bold" if row.macro_recall == best_recall else ""),
    )


def _systems(systems: Sequence[System]) -> Table:
    table = Table(Column("system", no_wrap=True), "figure")
    for heading in ("published", "here", "seconds", "parameters"):
        table.add_column(heading, justify="right")
    for system in systems:
        outcome = system.outcome
        figures = system.published, system.ours, f"{outcome.seconds:,.1f}", f"{outcome.num_parameters:,}"
        table.add_row(system.baseline.name, system.baseline.metric, *figures)
    return table
