"""The command line `sentiment`: one file per group of commands, which parse options and call the rest of the package.

Exit codes: 0 success, 1 failure, 2 misuse, 3 a server does not answer (worker/errors.py).
"""

# ruff: noqa: E402 - what follows the hook takes a second to import
from __future__ import annotations

import sys
from types import TracebackType


def _hide_interrupt(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Ctrl-C before a command runs ends the process as SIGINT does, which needs no traceback."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _hide_interrupt

from typing import Annotated

import typer

from worker import __version__
from worker.cli import models, records, score, servers, serving, states
from worker.cli.networks import behaviour, comparison, evaluation, insight, training, vectors
from worker.cli.options import examples, fill_paragraphs

app = typer.Typer(
    name="sentiment",
    help="Score the sentiment of Kafka streams with an LSTM that keeps each stream's state, exactly once.",
    epilog=examples("sentiment demo", "echo 'great flight, thanks' | sentiment score -", "sentiment COMMAND --help"),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (serving, models, servers, records, states, score):
    app.add_typer(group.commands)
for group in (training, evaluation, comparison, behaviour, insight, vectors):
    app.add_typer(group.commands)
fill_paragraphs(app)


def _show_version(is_requested: bool) -> None:
    if is_requested:
        print(f"sentiment {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point of the program `sentiment`."""
    app()
