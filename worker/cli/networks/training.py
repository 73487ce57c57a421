"""The command that trains a checkpoint, or a published system: train."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.cli.options import examples, expected_errors
from worker.errors import SettingsError

if TYPE_CHECKING:
    from model import Baseline, Outcome

commands = typer.Typer()
_PANEL = "The network"
_SWITCHES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@commands.command(
    rich_help_panel=_PANEL,
    epilog=examples(
        "sentiment train --data data --run runs/large --set hidden_size=256 --set epochs=4",
        "sentiment worker --checkpoint runs/large/checkpoint",
        "sentiment train --data data --run runs/all --all-films runs/large",
        "sentiment train --data data --run runs/languages --languages runs/large --rounds 8",
        "sentiment train --preset imdb-lstm --data data --run runs/imdb-lstm --set clip=global-norm",
        "sentiment train --preset imdb-lstm --quick --run runs/try",
    ),
)
def train(
    run: Annotated[
        Path | None, typer.Option("--run", help="Directory of this run; an interrupted run resumes there")
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Directory of the labelled corpora")] = None,
    name: Annotated[str, typer.Option(help="Name of the checkpoint, as shown in events")] = "default",
    english: Annotated[
        Path | None,
        typer.Option(
            "--languages",
            metavar="RUN",
            help="Continue training this run's network, or this checkpoint, on texts of many languages",
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of --languages; a finished run takes more")] = 8,
    first_round: Annotated[
        Path | None,
        typer.Option(
            "--first-round",
            metavar="CHECKPOINT",
            help="Of --languages: take this network, e.g. a packaged one, for that after the first round",
        ),
    ] = None,
    finished_run: Annotated[
        Path | None,
        typer.Option(
            "--all-films",
            metavar="RUN",
            help="Continue training the network of this run, on the films that it held out",
        ),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Train a published system instead of a checkpoint; `help` lists them")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small version of a preset, which takes seconds and needs no --data")
    ] = False,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A size of the network or a setting of its training; an unknown name lists them",
        ),
    ] = None,
) -> None:
    """Train a network, measure it on held-out data, and write its checkpoint and figures."""
    with expected_errors():
        if finished_run is not None and (preset is not None or overrides):
            raise SettingsError(
                "--all-films continues a checkpoint's run with its settings and takes neither --preset nor --set"
            )
        if english is not None and (preset is not None or finished_run is not None):
            raise SettingsError("--languages continues a network by itself and takes neither --preset nor --all-films")
        if first_round is not None and english is None:
            raise SettingsError("--first-round is the first of the rounds of --languages, which is not given")
        if first_round is not None and rounds < 2:
            raise SettingsError("--first-round stands for one round: --rounds takes 2 or more")
        if preset == "help":
            _list_baselines()
        elif run is None:
            raise SettingsError("train needs --run, the directory of this run")
        elif preset is not None:
            _train_baseline(preset, data, run, overrides or [], quick=quick)
        elif data is None or quick:
            raise SettingsError("without --preset, train makes a checkpoint: it needs --data and takes no --quick")
        elif english is not None:
            _train_languages(english, data, run, name, overrides or [], rounds, first_round)
        elif finished_run is not None:
            from model import train_on_all_films

            print(train_on_all_films(finished_run, data, run, name=name))
        else:
            _train_checkpoint(data, run, name, overrides or [])


def _train_checkpoint(data: Path, run: Path, name: str, overrides: list[str]) -> None:
    from model import ModelConfig, TrainConfig

    size_types, training_types = _field_types(ModelConfig), _field_types(TrainConfig)
    given = _parse_overrides(overrides, size_types | training_types)
    sizes = ModelConfig(**{name: given[name] for name in given.keys() & size_types})
    config = TrainConfig(**{name: given[name] for name in given.keys() & training_types})

    from model import train_checkpoint  # imports torch, so after the check of the overrides

    print(train_checkpoint(config, data, run, sizes=sizes, name=name))


def _train_languages(
    english: Path, data: Path, run: Path, name: str, overrides: list[str], rounds: int, first_round: Path | None
) -> None:
    from model import TrainConfig, train_languages

    given = _parse_overrides(overrides, _field_types(TrainConfig))
    print(train_languages(english, data, run, changes=given, num_rounds=rounds, first_round=first_round, name=name))


def _list_baselines() -> None:
    from model import BASELINES

    for baseline in BASELINES.values():
        print(f"{baseline.name:22} {baseline.description}")


def _train_baseline(name: str, data: Path | None, run: Path, overrides: list[str], *, quick: bool) -> None:
    from model import find_baseline, run_baseline

    baseline = find_baseline(name)
    types = {field: type(value) for field, value in baseline.config.to_dict().items()}
    config = baseline.config_with(_parse_overrides(overrides, types), quick=quick)
    if data is None and config.corpora() and not quick:
        raise SettingsError(f"{name} needs --data, a directory with {', '.join(config.corpora())}, or --quick")
    with Console(stderr=True).status(name) as status:
        outcome = run_baseline(
            baseline, config, data, run, lambda share, line: status.update(Text(f"{name}: {share:.0%}, {line}"))
        )
    Console().print(_figures(baseline, outcome))
    for note in outcome.notes:
        print(f"- {note}")


def _field_types(config: Any) -> dict[str, type]:
    """Name and type of each field of a configuration class, whose annotations are strings."""
    types = {"int": int, "float": float, "str": str}
    return {field.name: types[field.type] for field in fields(config) if field.type in types}


def _parse_overrides(overrides: list[str], types: dict[str, type]) -> dict[str, Any]:
    """The values of NAME=VALUE texts by name. Raises SettingsError, which lists unknown names and invalid values."""
    values: dict[str, Any] = {}
    problems = []
    for override in overrides:
        name, _, value = override.partition("=")
        if name not in types:
            problems.append(f"  {override}: there is no {name!r}")
            continue
        try:
            values[name] = _SWITCHES[value.lower()] if types[name] is bool else types[name](value)
        except (ValueError, KeyError):
            problems.append(f"  {override}: {value!r} is not of type {types[name].__name__}")
    if problems:
        raise SettingsError("--set takes NAME=VALUE:\n" + "\n".join(problems) + "\nNames: " + ", ".join(sorted(types)))
    return values


def _figures(baseline: Baseline[Any], outcome: Outcome) -> Table:
    table = Table(title=baseline.name)
    for heading in ("figure", "here", "published"):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    for name, value in outcome.figures.items():
        is_published = name == baseline.metric and baseline.published is not None
        table.add_row(name, f"{value:.4f}", f"{baseline.published:.4f}" if is_published else "")
    table.add_row("parameters", f"{outcome.num_parameters:,}", "")
    table.add_row("seconds of training", f"{outcome.seconds:,.1f}", "")
    return table
