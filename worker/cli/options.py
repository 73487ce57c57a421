"""Settings as options of a command, generated from `Settings.model_fields`, so that there is no second list of them.

Values reach pydantic as typed, so that one message names all invalid settings, whatever their source.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from worker.errors import EXIT_FAILED, EXIT_MISUSED, SentimentError
from worker.monitoring.logs import configure_logs
from worker.settings import Settings, load_settings

KAFKA = (*(name for name in Settings.model_fields if name.startswith("kafka")), "request_timeout_s")
REDIS = tuple(name for name in Settings.model_fields if name.startswith("redis"))
REGISTRY = tuple(name for name in Settings.model_fields if name.startswith("registry"))
PAGE = tuple(name for name in Settings.model_fields if name.startswith("page"))
TOPICS = ("topics", "events_topic", "shifts_topic", "deadletters_topic")
SHADOW = ("shadow", "shadow_topic", "comparisons_topic")
NETWORK = ("checkpoint", "device", "precision", "carry", "not_understood", "threads")
LOGS = ("log_level", "log_format")

_PANEL = "Settings, also SENTIMENT_<NAME> or a key of --config"
_METAVARS = {int: "<int>", float: "<float>", Path: "<path>"}

Command = Callable[..., None]


def with_settings(*names: str, is_service: bool = False) -> Callable[[Command], Command]:
    """Give `command(settings, ...)` the settings `names` as options, and turn expected errors into messages.

    Every command reads the whole environment and file; `names` are the settings that it uses.
    is_service: operators read the log, so it includes the messages of the libraries.
    """
    options = [_config_option(), *(_option(name, Settings.model_fields[name]) for name in names)]

    def decorate(command: Command) -> Command:
        own_parameters = inspect.signature(command, eval_str=True).parameters.values()

        @wraps(command)
        def run(**given: Any) -> None:
            flags = {name: given.pop(name) for name in names}
            with expected_errors():
                settings = load_settings(given.pop("config"), **flags)
                configure_logs(settings, is_service=is_service)
                command(settings=settings, **given)

        return _with_parameters(
            run, [*(parameter for parameter in own_parameters if parameter.name != "settings"), *options]
        )

    return decorate


@contextmanager
def expected_errors() -> Iterator[None]:
    """End the command with an expected error's message and exit code; unexpected errors keep their traceback."""
    try:
        yield
    except SentimentError as error:
        _fail(error, error.exit_code)
    except Exception as error:
        # Importing the model is slow; code that raised one of its errors has imported it already.
        model = sys.modules.get("model")
        if model is None or not isinstance(error, model.ModelError):
            raise
        _fail(error, EXIT_MISUSED if isinstance(error, (model.ConfigError, model.UnknownWordError)) else EXIT_FAILED)


def _fail(error: Exception, code: int) -> None:
    print(f"sentiment: {error}", file=sys.stderr)
    raise typer.Exit(code) from error


def examples(*lines: str) -> str:
    """The examples at the end of a command's help."""
    return "\n\n".join(("Examples:", *lines))


def fill_paragraphs(app: typer.Typer) -> None:
    """Let the paragraphs of each command's help fill the terminal: typer keeps the line breaks of docstrings."""
    for command in app.registered_commands:
        paragraphs = inspect.getdoc(command.callback) or ""
        command.help = "\n\n".join(" ".join(one.split()) for one in paragraphs.split("\n\n"))
    for group in app.registered_groups:
        if group.typer_instance:
            fill_paragraphs(group.typer_instance)


def _with_parameters(run: Command, parameters: Iterable[inspect.Parameter]) -> Command:
    """Set the signature and annotations of `run`, from which typer derives the options."""
    keywords = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    run.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in keywords}
    return run


def _option(name: str, field: FieldInfo) -> inspect.Parameter:
    is_switch = field.annotation is bool
    option = typer.Option(
        *([] if is_switch else [_flag(name)]),
        help=_help(field),
        metavar=None if is_switch else _metavar(field.annotation),
        show_default=False,
        rich_help_panel=_PANEL,
    )
    annotation = Annotated[bool | None if is_switch else str | None, option]  # type: ignore[valid-type]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _config_option() -> inspect.Parameter:
    option = typer.Option("--config", help="TOML file with settings", rich_help_panel=_PANEL)
    annotation = Annotated[Path | None, option]
    return inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _metavar(annotation: Any) -> str:
    kinds = {kind for kind in (annotation, *get_args(annotation)) if kind in _METAVARS}
    return _METAVARS[kinds.pop()] if kinds else "<str>"


def _help(field: FieldInfo) -> str:
    parts = [str(field.description)]
    if get_origin(field.annotation) is Literal:
        parts.append("one of " + ", ".join(get_args(field.annotation)))
    default = field.default
    if isinstance(default, bool):
        parts.append(f"default {'yes' if default else 'no'}")
    elif isinstance(default, tuple):
        parts.append(f"default {','.join(default)}")
    elif isinstance(default, (str, int, float)):
        parts.append(f"default {default}")
    return "; ".join(parts)
