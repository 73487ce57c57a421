"""Commands about models that workers run: models compare."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from worker.cli.options import KAFKA, LOGS, REGISTRY, examples, with_settings
from worker.settings import Settings

commands = typer.Typer()
models = typer.Typer(no_args_is_help=True, help="Compare the model of a shadow with the one that serves.")
commands.add_typer(models, name="models", rich_help_panel="The worker")


@models.command(epilog=examples("sentiment models compare", "sentiment models compare --json | jq .agreement"))
@with_settings("events_topic", "shadow_topic", "output_format", *REGISTRY, *KAFKA, *LOGS)
def compare(
    settings: Settings,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line for each pair of models")] = False,
) -> None:
    """Compare the events of shadows with those that the group published of the same records.

    Reads both topics from their beginnings to their present ends.
    """
    import msgspec

    from worker.tools.comparison.topics import compare as compare_all

    comparisons, num_alone = asyncio.run(compare_all(settings))
    if as_json:
        for one in comparisons:
            print(msgspec.json.encode(one).decode())
        return
    for one in comparisons:
        print(f"{one.shadow.name} ({one.shadow.fingerprint}) beside {one.served.name} ({one.served.fingerprint})")
        print(f"  agreement      {one.agreement:.2%} of {one.num_compared:,} records")
        print(f"  score          {one.mean_score_change:+.3f} on average, {one.mean_score_distance:.3f} in magnitude")
        for move, count in one.moved.items():
            print(f"  moved          {' to '.join(move.split('>')):<22} {count:>9,}  {count / one.num_compared:.2%}")
        for code, of_language in one.languages.items():
            share = of_language.num_agreeing / of_language.num_compared
            print(f"  language       {code or 'unknown':<22} {of_language.num_compared:>9,}  {share:.2%} agree")
    if num_alone:
        print(f"{num_alone:,} events of shadows are of records without an event of the group, such as dead letters")
    if not comparisons:
        print(f"no record has an event in both {settings.events_topic} and {settings.shadow_topic}")
