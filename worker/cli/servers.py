"""Commands about the servers: stack, topics, check and capacity."""

from __future__ import annotations

import signal
import time
from typing import Annotated, NoReturn

import typer

from worker.cli.options import (
    KAFKA,
    LOGS,
    NETWORK,
    REDIS,
    REGISTRY,
    SHADOW,
    TOPICS,
    examples,
    expected_errors,
    with_settings,
)
from worker.errors import EXIT_OK, DependencyError
from worker.settings import Settings

commands = typer.Typer()
_PANEL = "Servers"
_POLL_S = 0.5


@commands.command(
    rich_help_panel=_PANEL,
    epilog=examples(
        "sentiment stack", "export SENTIMENT_KAFKA=... SENTIMENT_REDIS=...   # the lines that stack prints"
    ),
)
def stack(
    brokers: Annotated[int, typer.Option(min=1, max=9, help="Number of Kafka brokers; replication needs 3")] = 1,
) -> None:
    """Run a local Kafka and Redis (and Prometheus, if it is installed) until Ctrl-C or SIGTERM.

    Prints the settings that point the other commands at these servers, then `ready`. Deletes all data at the end.
    """
    with expected_errors():
        from worker.stack import LocalStack

        # Set before the servers start, so that a signal also stops a server that is still starting.
        signal.signal(signal.SIGTERM, _exit_ok)
        signal.signal(signal.SIGINT, _exit_ok)
        with LocalStack(num_brokers=brokers, prometheus=True, append_only=True) as local:
            for name, address in local.environment().items():
                print(f"{name}={address}")
            print("ready", flush=True)
            while all(server.running for server in local.servers):
                time.sleep(_POLL_S)
            dead = next(server for server in local.servers if not server.running)
            problem = f"ended with code {dead.exit_code}; the end of its output:\n{dead.tail()}\n"
            raise DependencyError(dead.name, dead.address, problem, "The stack stops all its servers")


@commands.command(
    rich_help_panel=_PANEL, epilog=examples("sentiment topics", "sentiment topics --partitions 12 --replication 3")
)
@with_settings(*TOPICS, *SHADOW, "partitions", "replication", *KAFKA)
def topics(settings: Settings) -> None:
    """Create the topics that are missing. Existing topics are not changed. With --shadow, those of a shadow."""
    from worker.kafka.topics import check_topics, ensure_topics

    if settings.shadow:
        settings = settings.of_shadow("")
    created = ensure_topics(settings)
    check_topics(settings)
    print(f"created {', '.join(created)}" if created else "all topics exist")


@commands.command(rich_help_panel=_PANEL, epilog=examples("sentiment asyncapi", "sentiment asyncapi > asyncapi.json"))
@with_settings(*TOPICS, *SHADOW, "fields", "payloads", "output_format", *REGISTRY, "kafka", "kafka_security")
def asyncapi(settings: Settings) -> None:
    """Print the AsyncAPI document of all topics as JSON; asks no server. With --shadow, those of shadows, too."""
    import json

    from worker.records.asyncapi import make_asyncapi

    print(json.dumps(make_asyncapi(settings), indent=2, ensure_ascii=False))


@commands.command(rich_help_panel=_PANEL, epilog=examples("sentiment check", "sentiment check --kafka broker:9092"))
@with_settings(*TOPICS, "group", "fields", "payloads", "delivery", *NETWORK[:2], *REDIS, *REGISTRY, *KAFKA, *LOGS)
def check(settings: Settings) -> None:
    """Check Kafka, topics, Redis and checkpoint, one line for each. Exit code 3: a server does not answer.

    Does what the worker will do, and takes it back: claims in Redis, a transaction, one record of each input.
    """
    from worker.tools.checks import check_all

    worst = EXIT_OK
    for finding in check_all(settings):
        verdict = "ok" if finding.exit_code == EXIT_OK else "FAILED"
        print(f"{finding.name:<11} {verdict:<7} {finding.detail}", flush=True)
        worst = max(worst, finding.exit_code)
    raise typer.Exit(worst)


@commands.command(
    rich_help_panel=_PANEL,
    epilog=examples(
        "sentiment capacity --rate 100000 --kind tweets", "sentiment capacity --rate 500 --kind reviews --measure"
    ),
)
@with_settings(*NETWORK[:3])
def capacity(
    settings: Settings,
    rate: Annotated[float, typer.Option(help="Records a second")],
    kind: Annotated[str, typer.Option(help="Kind of texts: tweets or reviews")] = "tweets",
    streams: Annotated[int, typer.Option(help="Streams that have a state")] = 1_000_000,
    core_hour: Annotated[float, typer.Option(help="Dollars an hour for a core with 2 GB of memory")] = 0.04,
    redis_gib_hour: Annotated[float, typer.Option(help="Dollars an hour for a GiB of Redis")] = 0.02,
    measure: Annotated[bool, typer.Option("--measure", help="Measure the engine on this machine first")] = False,
) -> None:
    """Print what a rate of records needs, and what a million texts cost, beside hosted services."""
    from worker.tools.capacity import Prices, costs_of, lines, measure_costs, plan_capacity

    costs, prices = costs_of(kind), Prices(core_hour, redis_gib_hour)
    plan_capacity(rate, streams, costs, prices)
    if measure:
        from worker.network import load_engine

        costs = measure_costs(kind, load_engine(settings))
    print("\n".join(lines(rate, kind, streams, costs, prices)))


def _exit_ok(signal_number: int, _: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise typer.Exit(EXIT_OK)
