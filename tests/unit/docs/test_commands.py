"""The commands of the pages exist and take the options that are shown with them."""

from __future__ import annotations

import re
import shlex
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from tests.unit.docs.pages import PAGES, ROOT, commands_of, name_of, text_of
from worker.cli import app
from worker.settings import ENV_PREFIX, Settings

TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
EXTRAS = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
# What a page has people install that is no part of this project.
FOREIGN = {"gssapi", "kafka-python", "vaderSentiment"}


def parse(command: Any, words: list[str]) -> None:
    """Raise an error for a command or an option that there is not, or for too many arguments."""
    context = typer.Context(command, info_name=command.name, resilient_parsing=True)
    _, left, _ = command.make_parser(context).parse_args(words)
    if isinstance(command, TyperGroup) and left:
        found = command.get_command(context, left[0])
        assert found is not None, f"no such command: {left[0]}"
        parse(found, left[1:])
    else:
        assert not left, f"too many arguments: {left}"


@pytest.mark.parametrize(("page", "command"), commands_of("sentiment"))
def test_sentiment_takes_the_commands_of_the_pages(page: str, command: str) -> None:
    words = shlex.split(command.replace("...", "").replace("|", " "))[1:]
    parse(typer.main.get_command(app), [word for word in words if word not in {"[", "]"}])


@pytest.mark.parametrize(("page", "command"), commands_of("make"))
def test_make_has_the_targets_of_the_pages(page: str, command: str) -> None:
    names = [word for word in shlex.split(command)[1:] if "=" not in word and not word.startswith("[")]
    assert set(names) <= TARGETS, page


@pytest.mark.parametrize(("page", "command"), commands_of("python", "pytest"))
def test_modules_and_tests_of_the_pages_exist(page: str, command: str) -> None:
    words = shlex.split(command)
    if words[0] == "python":
        assert words[1:2] in ([], ["-m"]), page
        assert all(find_spec(module) for module in words[2:3]), page
    else:
        paths = [word.partition("::")[0] for word in words[1:] if word.startswith("tests")]
        assert [path for path in paths if not any(ROOT.glob(path))] == [], page


@pytest.mark.parametrize(("page", "command"), commands_of("pip"))
def test_pip_installs_extras_that_this_project_has_from_a_clone(page: str, command: str) -> None:
    verb, what = shlex.split(command)[1:]
    package, extras = re.fullmatch(r"([\w.-]+)(?:\[([\w,]+)\])?", what).groups()  # type: ignore[union-attr]
    assert (verb, package) == ("install", ".") or package in FOREIGN, page
    assert package in FOREIGN or {*filter(None, (extras or "").split(","))} <= EXTRAS, page


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_variable_of_the_pages_is_that_of_a_setting(page: Path) -> None:
    named = set(re.findall(rf"\b{ENV_PREFIX}([A-Z_]+)", text_of(page)))
    assert named <= {name.upper() for name in Settings.model_fields}
