"""Commands that run the worker and show it: demo, worker and page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from worker.cli.options import KAFKA, LOGS, NETWORK, PAGE, REGISTRY, TOPICS, examples, with_settings
from worker.settings import Settings

commands = typer.Typer()
_PANEL = "The worker"


@commands.command(
    rich_help_panel=_PANEL,
    epilog=examples("sentiment demo", "sentiment demo --seconds 20 --rate 300 --json"),
)
@with_settings(*NETWORK, *PAGE, *LOGS)
def demo(
    settings: Settings,
    seconds: Annotated[float | None, typer.Option(min=1, help="Duration of the feed; default: until Ctrl-C")] = None,
    rate: Annotated[float, typer.Option(min=0.1, help="Records per second")] = 50.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print only one JSON line, at the end")] = False,
) -> None:
    """Show the whole system at work: local servers, a simulated feed, the worker, its events and the live page.

    Downloads Kafka on the first start. Ctrl-C stops the feed, lets the worker finish, and prints a summary.
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
    *(name for name in Settings.model_fields if name not in {"prometheus", "partitions", "replication", *PAGE}),
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


@commands.command(
    rich_help_panel=_PANEL,
    epilog=examples(
        "sentiment page --kafka broker:9092",
        "SENTIMENT_PAGE_TOKEN=$(openssl rand -hex 16) sentiment page --page-host 0.0.0.0",
    ),
)
@with_settings(
    *PAGE,
    "group",
    *TOPICS,
    "fields",
    "payloads",
    "output_format",
    "checkpoint",
    "health_host",
    "health_port",
    *KAFKA,
    *REGISTRY,
    *LOGS,
)
def page(
    settings: Settings,
    demo_socket: Annotated[
        Path | None, typer.Option("--demo-socket", hidden=True, help="Socket of the demo that started the page")
    ] = None,
) -> None:
    """Show the streams, the worker and the network on a live web page, until Ctrl-C.

    The page reads committed records and joins no group. It asks the worker for its health at health_host and
    health_port. Where page_host is not this machine alone, visitors need page_token.
    """
    from worker.page.serve import serve_page

    serve_page(settings, demo_socket)
