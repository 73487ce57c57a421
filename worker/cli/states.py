"""Commands about the state of one stream, and about dead letters: state, deadletters."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from worker.cli.options import KAFKA, NETWORK, REDIS, TOPICS, examples, with_settings
from worker.errors import Reason
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.tools.deadletter_filter import Where

commands = typer.Typer()
_PANEL = "Streams and records"
state = typer.Typer(no_args_is_help=True, help="Show the state of a stream, or erase it.")
deadletters = typer.Typer(no_args_is_help=True, help="List the records that could not be scored, or send them back.")
commands.add_typer(deadletters, name="deadletters", rich_help_panel=_PANEL)
commands.add_typer(state, name="state", rich_help_panel=_PANEL)

Reasons = Annotated[
    list[Reason] | None, typer.Option("--reason", help="Only dead letters of this reason; may be repeated")
]
Topic = Annotated[str | None, typer.Option("--topic", help="Only of records of this input topic")]
Stream = Annotated[str | None, typer.Option("--stream", help="Only of records with this key")]
Since = Annotated[str | None, typer.Option("--since", help="Only dead letters from this time on (RFC 3339)")]
Until = Annotated[str | None, typer.Option("--until", help="Only dead letters before this time (RFC 3339)")]
StreamName = Annotated[str, typer.Argument(help="Name of the stream")]
StreamTopic = Annotated[str, typer.Option("--topic", help="Input topic of the stream")]


@state.command(epilog=examples("sentiment state show @norvia --topic tweets"))
@with_settings(*REDIS, "group", *NETWORK[:2], *KAFKA)
def show(settings: Settings, stream: StreamName, topic: StreamTopic) -> None:
    """Show the state of STREAM, as last written to Redis, in JSON."""
    from worker.tools.stream_view import show_state

    view = asyncio.run(show_state(settings, topic, stream))
    print(msgspec.json.format(msgspec.json.encode(view)).decode())


@state.command(epilog=examples("sentiment state erase @norvia --topic tweets --yes"))
@with_settings("topics", "payloads", *KAFKA)
def erase(
    settings: Settings,
    stream: StreamName,
    topic: StreamTopic,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation")] = False,
) -> None:
    """Erase the state of STREAM by sending a record with a null value to its topic, so that a replay erases it too.

    The worker erases the state when it reaches that record. Published events stay.
    """
    from worker.tools.stream_view import erase_state

    if not yes:
        typer.confirm(f"Erase the state of {stream} in {topic}?", abort=True)
    partition, offset = asyncio.run(erase_state(settings, topic, stream))
    print(
        f"{topic}-{partition}, offset {offset}: null value for {stream}; the worker erases the state when it gets there"
    )


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
    from worker.records.unicode import printable
    from worker.tools.tail import show_json

    where = _where(topic, stream, since, until)

    async def show_all() -> None:
        from worker.tools.deadletters import list_deadletters

        num_shown = 0
        async for letter in list_deadletters(settings, reasons or [], where):
            num_shown += 1
            if as_json:
                show_json(msgspec.json.encode(letter))
            else:
                reason = letter.reason or "foreign"
                print(f"{letter.time}  {letter.id}  {reason}  {letter.status}  {printable(letter.error)}")
        if not num_shown and not as_json:
            such = "such " if any((reasons, topic, stream, since, until)) else ""
            print(f"no {such}dead letters in {settings.deadletters_topic}", file=sys.stderr)

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
    from worker.tools.redrive import redrive as redrive_all
    from worker.tools.terminal.progress import shown_progress

    where = _where(topic, stream, since, until)
    with shown_progress("reading dead letters") as advance:
        num_redriven, num_foreign = asyncio.run(
            redrive_all(settings, reasons or [], where, number=number, dry_run=dry_run, on_read=advance)
        )
    print(f"{num_redriven} records {'would be sent' if dry_run else 'sent'} back")
    if num_foreign:
        print(f"{num_foreign} records in {settings.deadletters_topic} are not dead letters of a worker and stay there")


def _where(topic: str | None, stream: str | None, since: str | None, until: str | None) -> Where:
    from worker.tools.deadletter_filter import choose

    try:
        return choose(topic, stream, since, until)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
