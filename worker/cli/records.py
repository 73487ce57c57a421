"""Commands about the records in the topics: feed and tail."""

from __future__ import annotations

import asyncio
import signal
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from worker.cli.options import KAFKA, LOGS, REGISTRY, TOPICS, examples, with_settings
from worker.errors import EXIT_FAILED
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.tools.feed import FeedSummary, FileOptions, OnSent

FileFormat = Literal["jsonl", "json", "csv", "tsv", "parquet"]
LayoutName = Literal["sentiment140", "airline"]

commands = typer.Typer()
_PANEL = "Streams and records"


@commands.command(
    rich_help_panel=_PANEL,
    epilog=examples(
        "sentiment feed tweets.jsonl.gz --topic tweets --rate 200",
        "sentiment feed reviews.csv --topic reviews --columns stream=asins,text=reviews.text,time=reviews.date",
        "sentiment feed training.1600000.csv --layout sentiment140 --topic tweets",
        "zcat dump.gz | sentiment feed - --topic tweets",
        "sentiment feed reviews.csv --topic reviews --dry-run",
        "sentiment feed --simulate --seconds 60 --rate 300 --seed 7",
    ),
)
@with_settings("topics", "fields", "payloads", "compression", "max_text_bytes", "max_clock_skew_s", *KAFKA, *LOGS)
def feed(
    settings: Settings,
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="JSON (lines or arrays), CSV, TSV or Parquet; .gz, .bz2, .xz, .zst; - is standard input"),
    ] = None,
    topic: Annotated[str | None, typer.Option("--topic", help="Topic that the records of FILES go to")] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0.1, help="Records per second; default: 50 if simulated, else as fast as possible"),
    ] = None,
    format_: Annotated[
        FileFormat | None, typer.Option("--format", help="Format of FILES; default: by their names")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            help="Columns of a file without header, comma-separated (an empty name leaves one out); or new=old"
        ),
    ] = None,
    layout: Annotated[LayoutName | None, typer.Option(help="FILES are CSV files of this data set")] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="Delimiter of CSV; default: comma, else the one that the first line has")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of FILES, such as cp1252; default: by the byte order mark, else UTF-8")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Name what would be refused; send nothing, and ask no server")
    ] = False,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Send generated tweets and reviews instead of FILES")
    ] = False,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="Duration of the simulation; default: until Ctrl-C")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulation; the same seed gives the same texts")] = 1,
) -> None:
    """Send records to the input topics.

    A record that the worker would refuse is named with file and line and left out, and the others are sent. Exit code
    0: all were sent; 1: some were left out, or a file could not be read; 3: Kafka does not answer. Ctrl-C says how far
    the feed came.
    """
    if simulate == bool(files):
        raise typer.BadParameter("name FILES, or give --simulate")
    if simulate and dry_run:
        raise typer.BadParameter("--dry-run is for FILES")
    if simulate:
        num_sent = asyncio.run(_feed_simulated(settings, rate or 50.0, seconds, seed))
        print(f"{num_sent} records sent to {', '.join(settings.topics)}")
        return
    if topic is None:
        raise typer.BadParameter("FILES need a --topic")
    if topic in {settings.events_topic, settings.shifts_topic, settings.deadletters_topic}:
        raise typer.BadParameter(f"{topic} is written by the worker; --topic names one of its inputs")
    options = _file_options(format_, columns, layout, delimiter, encoding)
    summary, interrupted = _feed_files(settings, files or [], topic, rate, options, dry_run=dry_run)
    what = "would be sent" if dry_run else "sent"
    print(f"{summary.num_sent} records {what} to {topic}, {summary.num_refused} refused")
    if interrupted:
        from worker.process import end_as_by_ctrl_c

        end_as_by_ctrl_c()
    if summary.num_refused:
        raise typer.Exit(EXIT_FAILED)


def _file_options(
    format_: str | None, columns: str | None, layout: str | None, delimiter: str | None, encoding: str | None
) -> FileOptions:
    from worker.tools.feed import FileOptions
    from worker.tools.feed.files import reads_text
    from worker.tools.feed.layouts import LAYOUTS

    if columns and layout:
        raise typer.BadParameter("give --columns or --layout")
    delimiter = "\t" if delimiter in {"tab", "\\t"} else delimiter
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise typer.BadParameter("--delimiter is one character, or tab")
    if encoding is not None and not reads_text(encoding):
        raise typer.BadParameter(f"there is no text encoding {encoding!r}")
    names = tuple(name.strip() for name in columns.split(",")) if columns else ()
    return FileOptions(format_, encoding, delimiter, names, LAYOUTS[layout] if layout else None)


def _feed_files(
    settings: Settings, files: list[Path], topic: str, rate: float | None, options: FileOptions, *, dry_run: bool
) -> tuple[FeedSummary, bool]:
    """The summary, and whether Ctrl-C ended the feed."""
    from worker.process import stop_on_signals
    from worker.tools.feed import feed_files, try_files
    from worker.tools.terminal.progress import is_progress_shown, shown_progress

    async def send(on_sent: OnSent | None) -> tuple[FeedSummary, bool]:
        stop = stop_on_signals()
        summary = await feed_files(settings, files, topic, rate, stop, options, on_sent)
        return summary, stop.signal is signal.SIGINT

    with shown_progress("reading" if dry_run else f"to {topic}") as advance:
        on_sent = advance if is_progress_shown() else None
        if dry_run:
            return try_files(settings, files, topic, options, on_sent), False
        return asyncio.run(send(on_sent))


async def _feed_simulated(settings: Settings, rate: float, seconds: float | None, seed: int) -> int:
    from model import phrase_languages
    from worker.kafka.access.rights import Rights, require_rights
    from worker.process import stop_on_signals
    from worker.tools.feed import send_feed
    from worker.tools.simulate import Feed
    from worker.tools.terminal.progress import shown_progress

    await require_rights(settings, Rights(writes=settings.topics))
    feed = Feed(
        seed,
        rate=rate,
        topics=(settings.topics[0], settings.topics[-1]),
        start_ms=int(time.time() * 1000),
        languages=phrase_languages(),
    )
    number = None if seconds is None else round(seconds * rate)
    with shown_progress("simulated", number) as advance:
        return await send_feed(settings, islice(feed, number), rate, stop_on_signals(), advance)


@commands.command(
    rich_help_panel=_PANEL, epilog=examples("sentiment tail", "sentiment tail --from-start --json | jq .label")
)
@with_settings(*TOPICS[1:], "output_format", *REGISTRY, *KAFKA, *LOGS, is_service=True)
def tail(
    settings: Settings,
    shifts: Annotated[bool, typer.Option("--shifts", help="Mood shifts instead of sentiment events")] = False,
    from_start: Annotated[bool, typer.Option("--from-start", help="Begin with the oldest record")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON line for each record; unchanged where they are JSON")
    ] = False,
) -> None:
    """Show events as they are committed, until Ctrl-C.

    On a terminal, shifts and dead letters stand between the events. Into a pipe or a file go the events alone.
    """
    from rich.console import Console

    from worker.tools.tail import follow, follow_outputs, show_event, show_json, show_shift

    console = Console()
    if console.is_terminal and not (as_json or shifts):
        from worker.tools.terminal.tail_view import TailView

        asyncio.run(follow_outputs(settings, TailView(settings, console).show, from_start=from_start))
        return
    topic, show = (settings.shifts_topic, show_shift) if shifts else (settings.events_topic, show_event)
    asyncio.run(follow(settings, topic, show_json if as_json else show(console), from_start=from_start))
