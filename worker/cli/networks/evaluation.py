"""The command that measures a checkpoint on labelled texts: evaluate."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from worker.cli.options import examples, with_settings
from worker.settings import Settings

if TYPE_CHECKING:
    from model import Evaluation, Turn

commands = typer.Typer()

DataDirectory = Annotated[
    Path, typer.Option("--data", help="Directory of the labelled corpora (reviews/, tweets/, languages/)")
]


@commands.command(
    rich_help_panel="The network",
    epilog=examples(
        "sentiment evaluate --data data",
        "sentiment evaluate --data data --checkpoint runs/x/checkpoint --precision int8",
    ),
)
@with_settings("checkpoint", "precision", "device")
def evaluate(
    settings: Settings,
    data: DataDirectory,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table")] = False,
) -> None:
    """Measure a checkpoint on the data that its training held out."""
    from model import evaluate_checkpoint

    with Console(stderr=True).status("scoring") as status:
        evaluation = evaluate_checkpoint(
            settings.checkpoint,
            data,
            precision=settings.precision,
            device=settings.device,
            on_row=lambda row: status.update(f"scoring; {row.corpus} ({row.mode}) is done"),
        )
    if as_json:
        print(json.dumps(evaluation.to_dict()))
    else:
        Console().print(_table(evaluation))
        Console().print(_turns_table(evaluation.turns))
        if any(row.language != "en" for row in evaluation.rows):
            Console().print(_language_table(evaluation))
        if not evaluation.dev_share:
            print(_film_note(evaluation.rehearsal))


def _table(evaluation: Evaluation) -> Table:
    table = Table("corpus", "read", title=f"{evaluation.name} ({evaluation.fingerprint})")
    for heading in ("texts", "accuracy", "macro recall", "calibration error", "by chance"):
        table.add_column(heading, justify="right")
    for row in evaluation.rows:
        chance = row.calibration_error_by_chance
        table.add_row(
            row.corpus,
            row.mode,
            f"{row.num_texts:,}",
            f"{row.accuracy:.2%}",
            f"{row.macro_recall:.4f}",
            f"{row.calibration_error:.4f}",
            "" if chance is None else f"{chance:.4f}",
        )
    return table


def _turns_table(turns: Sequence[Turn]) -> Table:
    table = Table("30 texts", "then one", title="Own sentences: 30 texts of one kind, then one of another")
    for heading in ("texts", "right alone", "turned by the stream", "labelled like the 30 alone", "in the stream"):
        table.add_column(heading, justify="right")
    for turn in turns:
        counts = turn.num_texts, turn.num_right, turn.num_turned, turn.num_like_before_alone, turn.num_like_before
        table.add_row(turn.before, turn.then, *map(str, counts))
    return table


def _language_table(evaluation: Evaluation) -> Table:
    from model import LANGUAGE_HEADINGS, rows_by_language, tweets_line

    table = Table(*LANGUAGE_HEADINGS, title="by language, from empty states", caption=tweets_line(evaluation))
    for cells in rows_by_language(evaluation):
        table.add_row(*cells)
    return table


def _film_note(rehearsal: Evaluation | None) -> str:
    """The note about films for a network that was trained on all of them; `rehearsal` is from before its last films."""
    note = "imdb: not measured, because this network was trained on all films"
    if rehearsal is None:
        return note
    rows = [row for row in rehearsal.rows if row.corpus == "imdb"]
    figures = ", ".join(f"{row.mode} {row.accuracy:.2%}" for row in rows)
    return (
        f"{note}. Before it was trained on the last {rehearsal.dev_share:.0%} of them ({rehearsal.fingerprint}), "
        f"it was measured on their {rows[0].num_texts:,} reviews: {figures}"
    )
