"""Commands about files, without any server: score and payloads."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.options import NETWORK, REGISTRY, examples, with_settings
from worker.errors import EXIT_FAILED
from worker.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

    from worker.tools.score_file import LineScorer, Readable

commands = typer.Typer()
payloads = typer.Typer(help="List the presets for payloads of public sources, or try records.")
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
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines on a terminal, too")] = False,
) -> None:
    """Score each line of FILE, in order: coloured on a terminal, one JSON line for each in a pipe or file.

    Each line of a stream continues the lines before it (--carry); a line without a stream is scored on its own.
    For a line that cannot be scored, the output gives its number and the error. On a terminal, each word of a text is
    coloured by how far it moved the score; label, score, confidence and language stand below it.
    """
    from rich.console import Console

    from worker.network import load_engine
    from worker.tools.score_file import LineScorer, open_lines

    engine = load_engine(settings)
    scorer, console = LineScorer(settings, engine), Console()
    if file == "-" and sys.stdin.isatty():
        print("type texts, one a line; Ctrl-D ends", file=sys.stderr)
    with open_lines(file) as lines:
        if console.is_terminal and not as_json:
            _show_lines(scorer, lines, console)
        else:
            _write_lines(scorer, lines)
    if scorer.num_refused:
        print(f"sentiment: {scorer.num_refused} of {scorer.num_lines} lines could not be scored", file=sys.stderr)


def _show_lines(scorer: LineScorer, lines: Readable, console: Console) -> None:
    from worker.tools.score_file import read_lines
    from worker.tools.terminal.scored_text import show_scored

    for batch in read_lines(lines):
        for text, answer in scorer.score_texts(batch):
            show_scored(console, text, answer)


def _write_lines(scorer: LineScorer, lines: Readable) -> None:
    from worker.tools.score_file import encode_lines, read_lines
    from worker.tools.terminal.progress import is_file, shown_progress

    # What a pipe leads to may write to the same terminal.
    with shown_progress("scoring", unit="lines", is_shown=is_file(sys.stdout)) as advance:
        for batch in read_lines(lines):
            sys.stdout.buffer.write(encode_lines(scorer.score(batch)))
            sys.stdout.buffer.flush()
            advance(len(batch))


@payloads.callback(
    invoke_without_command=True, epilog=examples("sentiment payloads", "sentiment payloads --example yelp")
)
def list_payloads(
    context: typer.Context,
    example: Annotated[
        str | None, typer.Option("--example", help="Print this preset's example records instead")
    ] = None,
) -> None:
    """List the presets for payloads of public sources, or try records against the settings of a topic."""
    from worker.payloads.payload import as_paths
    from worker.payloads.presets import PRESETS, examples

    if context.invoked_subcommand is not None:
        return
    if example is not None:
        if example not in PRESETS:
            raise typer.BadParameter(f"no preset {example!r}; there are {', '.join(PRESETS)}")
        for record in examples(example):
            print(record.decode())
        return
    for name, preset in PRESETS.items():
        print(f"{name:<12} {preset.description}")
        for field, paths in preset.fields:
            print(f"{'':<12}   {field:<7} {', '.join(as_paths(paths)) or '-'}")
        for rule in preset.payload.skip:
            print(f"{'':<12}   skipped where {rule}")


@payloads.command(
    "try",
    epilog=examples(
        "sentiment payloads try records.jsonl --topic tweets --payloads tweets=x-v2",
        "sentiment payloads --example yelp | sentiment payloads try - --topic reviews --payloads reviews=yelp",
    ),
)
@with_settings("topics", "fields", "payloads", "max_text_bytes", "max_clock_skew_s", *REGISTRY, *NETWORK[:2])
def try_(
    settings: Settings,
    file: Annotated[
        str, typer.Argument(help="One record, or one a line (Avro and Protobuf: one record); -: standard input")
    ],
    topic: Annotated[str, typer.Option("--topic", help="Topic whose settings apply")],
    key: Annotated[str | None, typer.Option("--key", help="The records' key; default: none")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line for each record")] = False,
) -> None:
    """Show what the worker would make of the records in FILE. Exit code 1: some would become dead letters."""
    import msgspec

    from worker.network import load_engine
    from worker.tools.payload_preview import Previewer, describe, split_values
    from worker.tools.score_file import open_lines

    if topic not in settings.topics:
        raise typer.BadParameter(f"{topic} is not in topics: {', '.join(settings.topics)}")
    with open_lines(file) as opened:
        values = split_values(opened.read(), settings.payload_of(topic)[0].format)
    previewer = Previewer(settings, topic, None if key is None else os.fsencode(key), load_engine(settings))
    num_dead = 0
    for preview in previewer.preview(values):
        num_dead += preview.outcome == "dead_letter"
        print(msgspec.json.encode(preview).decode() if as_json else describe(preview))
    if num_dead:
        raise typer.Exit(EXIT_FAILED)


commands.add_typer(payloads, name="payloads", rich_help_panel=_PANEL)
