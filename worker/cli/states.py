"""Commands about the state of one stream: state show and state erase."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from worker.cli.options import KAFKA, NETWORK, REDIS, examples, with_settings
from worker.settings import Settings

commands = typer.Typer()
state = typer.Typer(no_args_is_help=True, help="Show the state of a stream, or erase it.")
commands.add_typer(state, name="state", rich_help_panel="Streams and records")

Stream = Annotated[str, typer.Argument(help="Name of the stream")]
Topic = Annotated[str, typer.Option("--topic", help="Input topic of the stream")]


@state.command(epilog=examples("sentiment state show @norvia --topic tweets"))
@with_settings(*REDIS, "group", *NETWORK[:2], *KAFKA)
def show(settings: Settings, stream: Stream, topic: Topic) -> None:
    """Show the state of STREAM, as last written to Redis, in JSON."""
    import msgspec

    from worker.tools.stream_view import show_state

    view = asyncio.run(show_state(settings, topic, stream))
    print(msgspec.json.format(msgspec.json.encode(view)).decode())


@state.command(epilog=examples("sentiment state erase @norvia --topic tweets --yes"))
@with_settings("topics", "payloads", *KAFKA)
def erase(
    settings: Settings,
    stream: Stream,
    topic: Topic,
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
