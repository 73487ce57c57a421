"""The commands of the pages exist and take the options that are shown with them."""

from __future__ import annotations

import re
import shlex
from importlib.util import find_spec
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from tests.unit.docs.pages import ROOT, command_lines, programs
from worker.cli import app

# The changelog also names what was removed.
COMMANDS = sorted({(page, one) for page, line in command_lines() for one in programs(line) if page != "CHANGELOG.md"})
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def commands(pattern: str) -> list[tuple[str, str]]:
    return [(page, one) for page, one in COMMANDS if re.match(pattern, one)]


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


@pytest.mark.parametrize(("page", "command"), commands(r"sentiment( |$)"))
def test_sentiment_takes_the_commands_of_the_pages(page: str, command: str) -> None:
    words = shlex.split(command.replace("...", "").replace("|", " "))[1:]
    parse(typer.main.get_command(app), [word for word in words if word not in {"[", "]"}])


@pytest.mark.parametrize(("page", "command"), commands(r"make( |$)"))
def test_make_has_the_targets_of_the_pages(page: str, command: str) -> None:
    names = [word for word in shlex.split(command)[1:] if "=" not in word and not word.startswith("[")]
    assert set(names) <= TARGETS, page


@pytest.mark.parametrize(("page", "command"), commands(r"(python -m|pytest) "))
def test_modules_and_tests_of_the_pages_exist(page: str, command: str) -> None:
    words = shlex.split(command)
    if words[0] == "python":
        assert find_spec(words[2]) is not None, page
    else:
        paths = [word.partition("::")[0] for word in words[1:] if word.startswith("tests")]
        assert [path for path in paths if not any(ROOT.glob(path))] == [], page
