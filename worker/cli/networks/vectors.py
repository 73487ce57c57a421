"""Commands about word vectors: near (of a network), info, similar, analogy and missing (of a file), and train."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.cli.options import examples, expected_errors, with_settings
from worker.errors import SettingsError
from worker.settings import Settings

if TYPE_CHECKING:
    from model import Neighbour, WordVectors

commands = typer.Typer()
vectors = typer.Typer(no_args_is_help=True, help="Explore the word vectors of a network or a file, or train vectors.")
commands.add_typer(vectors, name="vectors", rich_help_panel="The network")

VectorFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="GloVe text, word2vec text or word2vec binary, plain or gzipped")
]
Count = Annotated[int, typer.Option("--count", min=1, help="Number of words to show for each")]


@vectors.command(
    epilog=examples("sentiment vectors near great awful", "sentiment vectors near delayed --count 20 --checkpoint DIR")
)
@with_settings("checkpoint")
def near(
    settings: Settings,
    words: Annotated[
        list[str], typer.Argument(metavar="WORD...", help="Normalised like the texts that the network reads")
    ],
    count: Count = 10,
) -> None:
    """Show the words whose vectors in the network are nearest to that of each WORD, by cosine similarity."""
    from model import neighbours

    Console().print(_nearest(neighbours(settings.checkpoint, words, count)))


@vectors.command(epilog=examples("sentiment vectors info glove.6B.50d.txt"))
def info(file: VectorFile) -> None:
    """Show the format of a file of word vectors, its number of words and the size of a vector."""
    with expected_errors():
        loaded = _load(file)
        print(f"{file}: {loaded.kind}, {len(loaded.words):,} words, {loaded.size} numbers a vector")


@vectors.command(epilog=examples("sentiment vectors similar glove.6B.50d.txt frog toad"))
def similar(
    file: VectorFile,
    words: Annotated[list[str], typer.Argument(metavar="WORD...", help="Spelt as in the file")],
    count: Count = 10,
) -> None:
    """Show the words of a file whose vectors are nearest to that of each WORD, by cosine similarity."""
    with expected_errors():
        loaded = _load(file)
        Console().print(_nearest({word: loaded.similar(word, count) for word in words}))


@vectors.command(epilog=examples("sentiment vectors analogy glove.6B.50d.txt king man woman"))
def analogy(file: VectorFile, a: str, b: str, c: str, count: Count = 5) -> None:
    """Show the words nearest to A - B + C, as in king - man + woman."""
    with expected_errors():
        Console().print(_nearest({f"{a} - {b} + {c}": _load(file).analogy(a, b, c, count)}))


@vectors.command(epilog=examples("sentiment vectors missing glove.6B.50d.txt --words vocabulary.txt"))
@with_settings("checkpoint")
def missing(
    settings: Settings,
    file: VectorFile,
    words: Annotated[
        Path | None,
        typer.Option("--words", metavar="FILE", help="One word per line, instead of the checkpoint's vocabulary"),
    ] = None,
    count: Annotated[int, typer.Option("--count", min=0, help="Number of words to show")] = 20,
) -> None:
    """Count the words of a vocabulary that have no vector in a file, and show the first of them."""
    from model import read_texts, read_vocabulary

    vocabulary = read_texts(words) if words else read_vocabulary(settings.checkpoint)
    lacking = _load(file).missing(vocabulary)
    share = len(lacking) / len(vocabulary)
    print(f"{file}: no vector for {len(lacking):,} of {len(vocabulary):,} words ({share:.1%})")
    if lacking[:count]:
        print(" ".join(lacking[:count]), end=" ...\n" if len(lacking) > count else "\n")


@vectors.command(
    epilog=examples(
        "sentiment vectors train --data data --to vectors.txt",
        "sentiment vectors train --texts mine.jsonl --to vectors.txt --size 50 --epochs 20",
    )
)
def train(
    to: Annotated[Path, typer.Option("--to", help="File to write in word2vec text format; must not exist")],
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Folder with the corpora (reviews/, tweets/)")
    ] = None,
    texts: Annotated[
        Path | None,
        typer.Option(
            "--texts", metavar="FILE", help="Your own texts: one per line, JSON lines or CSV, plain or gzipped"
        ),
    ] = None,
    size: Annotated[int, typer.Option(min=2, help="Size of a vector")] = 128,
    epochs: Annotated[int, typer.Option(min=1, help="Number of passes over the texts")] = 4,
) -> None:
    """Train word vectors (word2vec) on the corpora, without the films held out for evaluation, or on your own texts."""
    with expected_errors():
        source = data or texts
        if source is None or (data and texts):
            raise SettingsError(
                "vectors are trained either on the corpora, --data DIR, or on your own texts, --texts FILE"
            )

        from model import train_vectors

        with Console(stderr=True).status("word vectors") as status:
            num_words = train_vectors(
                source,
                to,
                size=size,
                num_epochs=epochs,
                on_epoch=lambda epoch: status.update(f"word vectors; epoch {epoch} is done"),
            )
        print(f"{to}: vectors of {num_words:,} words")


def _load(file: Path) -> WordVectors:
    from model import load_vectors

    with Console(stderr=True).status("loading"):
        return load_vectors(file)


def _nearest(nearest: Mapping[str, list[Neighbour]]) -> Table:
    """A column for each word. Cells are Text, because rich would interpret words such as :) or [b]."""
    table = Table()
    for word in nearest:
        table.add_column(Text(word), justify="right")
    for each in zip(*nearest.values(), strict=True):
        table.add_row(*(Text(f"{neighbour.word}  {neighbour.similarity:.3f}") for neighbour in each))
    return table
