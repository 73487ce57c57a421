"""Commands that run the worker: demo and worker."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.options import LOGS, NETWORK, examples, with_settings
from worker.settings import Settings

commands = typer.Typer()
_PANEL = "The worker"


@commands.command(
    rich_help_panel=_PANEL,
    epilog=examples("sentiment demo", "sentiment demo --seconds 20 --rate 300 --json"),
)
@with_settings(*NETWORK, *LOGS)
def demo(
    settings: Settings,
    seconds: Annotated[float | None, typer.Option(min=1, help="Duration of the feed; default: until Ctrl-C")] = None,
    rate: Annotated[float, typer.Option(min=0.1, help="Records per second")] = 50.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print only one JSON line, at the end")] = False,
) -> None:
    """Show the whole system at work: local servers, a simulated feed, the worker and its output.

    Ctrl-C stops the feed, lets the worker finish, and prints a summary.
    """
    from worker.demo.run import run_demo

    run_demo(settings, seconds, rate, as_json=as_json)


@commands.command(
    rich_help_panel=_PANEL,
    epilog=examples(
        "sentiment worker --kafka broker:9092 --redis redis://redis:6379/0",
        "sentiment worker --until-end",
        "SENTIMENT_TOPICS=tweets sentiment worker --log-format json --config worker.toml",
    ),
)
@with_settings(
    *(name for name in Settings.model_fields if name not in {"prometheus", "partitions", "replication"}),
    is_service=True,
)
def worker(
    settings: Settings,
    until_end: Annotated[
        bool, typer.Option("--until-end", help="Stop when all records present at the start are processed")
    ] = False,
) -> None:
    """Read the input topics and publish one event for each record, exactly once. SIGTERM drains the worker and ends it.

    Several workers share the partitions; start at most as many as there are partitions. Each worker serves its health
    and metrics over HTTP.
    """
    from worker.service.serve import serve

    serve(settings, until_end=until_end)
