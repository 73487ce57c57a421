"""The command that needs no server: score."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from worker.cli.options import NETWORK, examples, with_settings
from worker.settings import Settings

commands = typer.Typer()
_PANEL = "Without any server"


@commands.command(
    rich_help_panel=_PANEL,
    epilog=examples(
        "echo 'great flight, thanks' | sentiment score -",
        "sentiment score tweets.jsonl > scored.jsonl",
        "sentiment score --no-carry --checkpoint runs/mine/checkpoint reviews.txt",
    ),
)
@with_settings(*NETWORK, "max_text_bytes")
def score(
    settings: Settings,
    file: Annotated[
        str, typer.Argument(help="JSON lines like the records of an input topic, or plain lines; -: standard input")
    ] = "-",
) -> None:
    """Score the lines of FILE: one JSON line for each, in their order.

    Lines of one stream continue each other (--carry); a line that names no stream stands alone. A line that cannot be
    scored gives its number and the error, and the others go on.
    """
    from worker.network import load_engine
    from worker.tools.score_file import LineScorer, encode_lines, open_lines, read_lines

    engine = load_engine(settings)
    scorer = LineScorer(settings, engine)
    with open_lines(file) as lines:
        for batch in read_lines(lines):
            sys.stdout.buffer.write(encode_lines(scorer.score(batch)))
            sys.stdout.buffer.flush()
    if scorer.num_refused:
        print(f"sentiment: {scorer.num_refused} of {scorer.num_lines} lines could not be scored", file=sys.stderr)
