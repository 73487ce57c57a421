"""Commands that show what a network has learnt: explain, complete and spell."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from worker.cli.networks.evaluation import DataDirectory
from worker.cli.options import examples, expected_errors, with_settings
from worker.settings import Settings

if TYPE_CHECKING:
    from model import Deletion, Speller

commands = typer.Typer()
_PANEL = "The network"
MAX_SHOWN_CELLS = 3


@commands.command(
    rich_help_panel=_PANEL,
    epilog=examples("sentiment explain --data data", "sentiment explain --data data --checkpoint runs/x/checkpoint"),
)
@with_settings("checkpoint")
def explain(
    settings: Settings,
    data: DataDirectory,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table")] = False,
) -> None:
    """Measure whether results depend on the words that they name: delete these words, and as many random ones."""
    from model import measure_named_words

    with Console(stderr=True).status("scoring") as status:
        rows = measure_named_words(
            settings.checkpoint, data, on_row=lambda row: status.update(f"scoring; {row.corpus} is done")
        )
    if as_json:
        print(json.dumps({"deletions": [row.to_dict() for row in rows]}))
    else:
        Console().print(_deletions(rows))


@commands.command(
    rich_help_panel=_PANEL,
    epilog=examples(
        "sentiment train --preset lm --run runs/lm --set text=book.txt",
        "sentiment complete 'it was a' --run runs/lm",
        "sentiment complete 'it was a' --run runs/lm --temperature 0.8 --seed 3",
    ),
)
def complete(
    prompt: Annotated[str, typer.Argument(help="Beginning of a line; '' for a new line")],
    run: Annotated[Path, typer.Option("--run", help="Folder of a run of the preset lm")],
    max_words: Annotated[
        int, typer.Option(min=1, help="Maximum number of words to add; the end of a line stops earlier")
    ] = 20,
    temperature: Annotated[
        float, typer.Option(min=0, help="0: always the likeliest word; above 0: random words, more varied the higher")
    ] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random words")] = 0,
) -> None:
    """Complete PROMPT with the words that a language model expects."""
    with expected_errors():
        from model import WordModel

        print(WordModel.load(run).complete(prompt, max_words=max_words, temperature=temperature, seed=seed))


@commands.command(
    rich_help_panel=_PANEL,
    epilog=examples(
        "sentiment train --preset char-rnn --run runs/hello --set word=hello", "sentiment spell --run runs/hello"
    ),
)
def spell(run: Annotated[Path, typer.Option("--run", help="Folder of a run of the preset char-rnn")]) -> None:
    """Show how a network spells its word: its state, logits and softmax at each letter."""
    with expected_errors():
        from model import Speller

        speller = Speller.load(run)
        Console().print(_spelling(speller))
        print(f"from {speller.word[0]!r} it spells {speller.spell()!r}")


def _deletions(rows: Sequence[Deletion]) -> Table:
    table = Table("corpus", caption="fall: mean drop of the confidence in a text's label when words are deleted")
    for heading in ("texts", "confidence", "fall, words named", "fall, random words", "difference", "named > random"):
        table.add_column(heading, justify="right")
    for row in rows:
        difference = f"{row.named_fall - row.random_fall:.4f} \u00b1 {row.difference_error:.4f}"
        falls = f"{row.confidence:.4f}", f"{row.named_fall:.4f}", f"{row.random_fall:.4f}", difference
        table.add_row(row.corpus, f"{row.num_texts:,}", *falls, f"{row.share_named_more:.1%}")
    return table


def _spelling(speller: Speller) -> Table:
    """A row for each letter read, with a column for the logit and probability of each letter that may follow."""
    table = Table("reads", Column("state h", no_wrap=True))
    for letter in speller.letters:
        table.add_column(Text(repr(letter)), justify="right")
    table.add_column("guesses")
    table.add_column("follows")
    for step in speller.forward_steps():
        cells = " ".join(f"{number:+.2f}" for number in step.hidden[:MAX_SHOWN_CELLS])
        state = cells + (" ..." if len(step.hidden) > MAX_SHOWN_CELLS else "")
        shares = [
            Text(f"{logit:+.2f}  {share:.1%}", style="bold" if letter == step.guess else "")
            for letter, logit, share in zip(speller.letters, step.logits, step.probabilities, strict=True)
        ]
        table.add_row(Text(repr(step.letter)), state, *shares, Text(repr(step.guess)), Text(repr(step.target)))
    return table
