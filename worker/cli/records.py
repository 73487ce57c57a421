"""Commands about the records in the topics: feed, tail and deadletters."""

from __future__ import annotations

import asyncio
import signal
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import typer

from worker.cli.options import KAFKA, LOGS, REGISTRY, TOPICS, examples, with_settings
from worker.errors import EXIT_FAILED, Reason
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.tools.deadletter_filter import Where
    from worker.tools.feed import FeedSummary, FileOptions

FileFormat = Literal["jsonl", "json", "csv", "tsv", "parquet"]
LayoutName = Literal["sentiment140", "airline"]

commands = typer.Typer()
deadletters = typer.Typer(no_args_is_help=True, help="List the records that could not be scored, or send them back.")
_PANEL = "Streams and records"

Reasons = Annotated[
    list[Reason] | None, typer.Option("--reason", help="Only dead letters of this reason; may be repeated")
]
Topic = Annotated[str | None, typer.Option("--topic", help="Only of records of this input topic")]
Stream = Annotated[str | None, typer.Option("--stream", help="Only of records with this key")]
Since = Annotated[str | None, typer.Option("--since", help="Only dead letters from this time on (RFC 3339)")]
Until = Annotated[str | None, typer.Option("--until", help="Only dead letters before this time (RFC 3339)")]


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
    if dry_run:
        from worker.tools.feed import try_files

        summary, interrupted = try_files(settings, files or [], topic, options), False
    else:
        summary, interrupted = asyncio.run(_feed_files(settings, files or [], topic, rate, options))
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


async def _feed_files(
    settings: Settings, files: list[Path], topic: str, rate: float | None, options: FileOptions
) -> tuple[FeedSummary, bool]:
    """The summary, and whether Ctrl-C ended the feed."""
    from worker.process import stop_on_signals
    from worker.tools.feed import feed_files

    stop = stop_on_signals()
    summary = await feed_files(settings, files, topic, rate, stop, options)
    return summary, stop.signal is signal.SIGINT


async def _feed_simulated(settings: Settings, rate: float, seconds: float | None, seed: int) -> int:
    from model import phrase_languages
    from worker.kafka.access.rights import Rights, require_rights
    from worker.process import stop_on_signals
    from worker.tools.feed import send_feed
    from worker.tools.simulate import Feed

    await require_rights(settings, Rights(writes=settings.topics))
    feed = Feed(
        seed,
        rate=rate,
        topics=(settings.topics[0], settings.topics[-1]),
        start_ms=int(time.time() * 1000),
        languages=phrase_languages(),
    )
    records = islice(feed, None if seconds is None else round(seconds * rate))
    return await send_feed(settings, records, rate, stop_on_signals())


@commands.command(
    rich_help_panel=_PANEL, epilog=examples("sentiment tail", "sentiment tail --from-start --json | jq .label")
)
@with_settings("events_topic", "shifts_topic", "output_format", *REGISTRY, *KAFKA, *LOGS, is_service=True)
def tail(
    settings: Settings,
    shifts: Annotated[bool, typer.Option("--shifts", help="Mood shifts instead of sentiment events")] = False,
    from_start: Annotated[bool, typer.Option("--from-start", help="Begin with the oldest record")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON line for each record; unchanged where they are JSON")
    ] = False,
) -> None:
    """Show events as they are committed, until Ctrl-C."""
    from rich.console import Console

    from worker.tools.tail import follow, show_event, show_json, show_shift

    topic, show = (settings.shifts_topic, show_shift) if shifts else (settings.events_topic, show_event)
    asyncio.run(follow(settings, topic, show_json if as_json else show(Console()), from_start=from_start))


@deadletters.command(
    "list", epilog=examples("sentiment deadletters list", "sentiment deadletters list --reason poison --topic tweets")
)
@with_settings("deadletters_topic", "group", "max_redrives", *KAFKA)
def list_(
    settings: Settings,
    reasons: Reasons = None,
    topic: Topic = None,
    stream: Stream = None,
    since: Since = None,
    until: Until = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line for each dead letter")] = False,
) -> None:
    """List the current dead letters, oldest first in each partition.

    Each is pending, redriven, cut (only its beginning was kept, a redrive cannot send it), given_up (it failed again
    after max_redrives redrives), or foreign (no worker wrote it).
    """
    from worker.tools.tail import show_json

    where = _where(topic, stream, since, until)

    async def show_all() -> None:
        from worker.tools.deadletters import list_deadletters

        async for letter in list_deadletters(settings, reasons or [], where):
            if as_json:
                show_json(msgspec.json.encode(letter))
            else:
                print(f"{letter.time}  {letter.id}  {letter.reason or 'foreign'}  {letter.status}  {letter.error}")

    asyncio.run(show_all())


@deadletters.command(
    epilog=examples(
        "sentiment deadletters redrive --reason text_too_long   # after max_text_bytes was raised",
        "sentiment deadletters redrive --topic tweets --since 2026-11-21T05:00:00Z --dry-run",
    )
)
@with_settings("group", *TOPICS, *KAFKA, "compression", "max_redrives", "transaction_timeout_s", "commit_timeout_s")
def redrive(
    settings: Settings,
    reasons: Reasons = None,
    topic: Topic = None,
    stream: Stream = None,
    since: Since = None,
    until: Until = None,
    number: Annotated[int | None, typer.Option(min=1, help="Send so many at most")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count them, send nothing")] = False,
) -> None:
    """Send the original records of dead letters back to their input topics, each exactly once."""
    from worker.tools.deadletters import redrive as redrive_all

    where = _where(topic, stream, since, until)
    num_redriven, num_foreign = asyncio.run(redrive_all(settings, reasons or [], where, number=number, dry_run=dry_run))
    print(f"{num_redriven} records {'would be sent' if dry_run else 'sent'} back")
    if num_foreign:
        print(f"{num_foreign} records in {settings.deadletters_topic} are not dead letters of a worker and stay there")


def _where(topic: str | None, stream: str | None, since: str | None, until: str | None) -> Where:
    from worker.tools.deadletter_filter import choose

    try:
        return choose(topic, stream, since, until)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


commands.add_typer(deadletters, name="deadletters", rich_help_panel=_PANEL)
