"""The command that looks at networks side by side: compare."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.cli.options import examples, expected_errors
from worker.cli.training import DataFolder
from worker.errors import SettingsError

if TYPE_CHECKING:
    from model import Compared, Row

commands = typer.Typer()
_PANEL = "The network"

PACKAGED = "default"


@commands.command(
    rich_help_panel=_PANEL,
    epilog=examples(
        "sentiment compare default runs/large/checkpoint --data data",
        "sentiment compare runs/a/checkpoint runs/b/checkpoint --data data --json",
    ),
)
def compare(
    checkpoints: Annotated[
        list[str],
        typer.Argument(metavar="CHECKPOINT...", help=f"Two folders or more; {PACKAGED!r} names the packaged one"),
    ],
    data: DataFolder,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table")] = False,
) -> None:
    """Measure checkpoints side by side on the data that their training held out; the best figures are bold."""
    with expected_errors():
        folders = {name: None if name == PACKAGED else Path(name) for name in checkpoints}
        if len(folders) < 2:
            raise SettingsError(f"compare takes two different checkpoints or more; {PACKAGED!r} names the packaged one")

        from model import compare_checkpoints

        with Console(stderr=True).status("reading") as status:
            compared = compare_checkpoints(
                folders, data, on_row=lambda name, row: status.update(f"reading; {name}: {row.corpus} ({row.mode})")
            )
    if as_json:
        print(json.dumps({"checkpoints": [each.to_dict() for each in compared]}))
    else:
        Console().print(_comparison(compared))


def _comparison(compared: Sequence[Compared]) -> Table:
    """Sizes on top, then a line for each corpus and mode: accuracy and macro recall of each checkpoint."""
    table = Table("corpus", "read", caption="accuracy, macro recall")
    for each in compared:
        table.add_column(Text(each.checkpoint), justify="right")
    table.add_row("parameters", "", *(f"{each.num_parameters:,}" for each in compared))
    table.add_row("size on disk", "", *(f"{each.size_bytes / 1e6:,.2f} MB" for each in compared), end_section=True)
    for rows in zip(*(each.evaluation.rows for each in compared), strict=True):
        best = max(row.accuracy for row in rows), max(row.macro_recall for row in rows)
        table.add_row(rows[0].corpus, rows[0].mode, *(_figures(row, *best) for row in rows))
    return table


def _figures(row: Row, best_accuracy: float, best_recall: float) -> Text:
    return Text.assemble(
        (f"{row.accuracy:.2%}", "bold" if row.accuracy == best_accuracy else ""),
        "  ",
        (f"{row.macro_recall:.4f}", "bold" if row.macro_recall == best_recall else ""),
    )
