"""The command line, `sentiment`: a file for each group of commands; what a command does stands elsewhere.

Exit codes: 0 well, 1 failed, 2 misused, 3 a dependency is away (worker/errors.py).
"""

from __future__ import annotations

from typing import Annotated

import typer

from worker import __version__
from worker.cli import insight, networks, records, scoring, servers, serving, states, training, vectors

app = typer.Typer(
    name="sentiment",
    help="Sentiment of Kafka streams, read by an LSTM whose state per stream is kept exactly once.",
    epilog="Start with `sentiment demo`, or without any server: `echo 'great flight, thanks' | sentiment score -`",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (serving, servers, records, states, scoring, training, networks, insight, vectors):
    app.add_typer(group.commands)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"sentiment {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and stop.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point of the program `sentiment`."""
    app()
