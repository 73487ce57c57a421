"""The command that scores a file or standard input, without any server: score."""

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
        str,
        typer.Argument(help="JSON lines in the format of an input topic's records, or plain lines; -: standard input"),
    ] = "-",
) -> None:
    """Score each line of FILE and print one JSON line for it, in the same order.

    Each line of a stream continues the lines before it (--carry); a line without a stream is scored on its own.
    For a line that cannot be scored, the output gives its number and the error.
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
