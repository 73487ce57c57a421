"""The command that tests a checkpoint by kind of text: behaviour."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.cli.options import examples, with_settings
from worker.settings import Settings

if TYPE_CHECKING:
    from model import Behaviour, KindFigures

commands = typer.Typer()
_PANEL = "The network"


@commands.command(
    rich_help_panel=_PANEL,
    epilog=examples(
        "sentiment behaviour",
        "sentiment behaviour --kind negation_near --kind irony --failures 20",
        "sentiment behaviour --file texts.jsonl --checkpoint runs/x/checkpoint --json",
        "sentiment behaviour --write-corpus grammar.jsonl.gz",
    ),
)
@with_settings("checkpoint")
def behaviour(
    settings: Settings,
    kinds: Annotated[
        list[str] | None, typer.Option("--kind", metavar="KIND", help="Only this kind of text; may be repeated")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Labelled texts with the field kind, instead of the grammar's")
    ] = None,
    failures: Annotated[int, typer.Option(min=0, help="List so many failures of each kind")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables")] = False,
    write_corpus: Annotated[
        Path | None,
        typer.Option("--write-corpus", metavar="FILE", help="Write the half of the grammar to train on, and stop"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of --write-corpus")] = 1,
) -> None:
    """Test the network by kind of text: errors beside VADER's, and whether names, places or identities matter.

    The sentences come from the half of the grammar that no training reads.
    """
    from model import measure_behaviour, write_behaviour_corpus

    if write_corpus:
        num_written = write_behaviour_corpus(write_corpus, seed=seed)
        print(f"{write_corpus}: {num_written:,} sentences")
        return
    with Console(stderr=True).status("scoring"):
        measured = measure_behaviour(settings.checkpoint, file=file, kinds=kinds or (), max_failures=failures)
    if as_json:
        print(json.dumps(measured.to_dict()))
        return
    Console().print(_kinds(measured))
    if measured.exchanges:
        Console().print(_exchanges(measured))
    if failures:
        Console().print(_failures(measured.kinds))


def _kinds(measured: Behaviour) -> Table:
    """A row for each kind, and one for all."""
    table = Table("kind", caption="interval: of 95%, of errors. confidence: its mean. VADER: errors, if installed")
    for heading in ("texts", "wrong", "errors", "interval", "confidence", "VADER"):
        table.add_column(heading, justify="right")
    for row in measured.kinds:
        interval = f"{row.low:.1%} to {row.high:.1%}"
        wrong = f"{row.num_wrong:,}", f"{row.num_wrong / row.num_texts:.1%}"
        peer = _share(row.num_wrong_peer, row.num_texts)
        table.add_row(row.kind, f"{row.num_texts:,}", *wrong, interval, f"{row.mean_confidence:.2f}", peer)
    table.add_section()
    num_texts, num_wrong = (sum(getattr(row, name) for row in measured.kinds) for name in ("num_texts", "num_wrong"))
    confidence = f"{sum(row.mean_confidence * row.num_texts for row in measured.kinds) / num_texts:.2f}"
    peers = [row.num_wrong_peer for row in measured.kinds if row.num_wrong_peer is not None]
    shown = _share(sum(peers) if peers else None, num_texts)
    table.add_row("all", f"{num_texts:,}", f"{num_wrong:,}", _share(num_wrong, num_texts), "", confidence, shown)
    return table


def _share(count: int | None, num_texts: int) -> str:
    return "" if count is None else f"{count / num_texts:.1%}"


def _exchanges(measured: Behaviour) -> Table:
    table = Table("exchanged", caption="gap: between the mean scores of the two groups furthest apart")
    for heading in ("texts", "label changes", "neutral texts", "not neutral", "gap", "lowest", "highest"):
        table.add_column(heading, justify="right")
    for row in measured.exchanges:
        means = sorted(row.group_means, key=row.group_means.__getitem__)
        ends = (f"{group} {row.group_means[group]:+.2f}" for group in (means[0], means[-1]))
        shares = f"{row.share_changed:.1%}", f"{row.num_neutral:,}", f"{row.share_not_neutral:.1%}"
        table.add_row(row.kind, f"{row.num_texts:,}", *shares, f"{row.largest_gap:.3f}", *ends)
    return table


def _failures(kinds: tuple[KindFigures, ...]) -> Table:
    table = Table("kind", "label", "predicted", "score", "text")
    for row in kinds:
        for failure in row.failures:
            score = f"{failure.score:+.2f}"
            table.add_row(row.kind, failure.label, failure.predicted, score, Text(failure.text))
    return table
