"""Examples of the pages are what they say they are."""

from __future__ import annotations

import ast
import json
import re
import shlex
from io import StringIO
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rich.console import Console
from typer.testing import CliRunner

from tests.unit.docs.pages import Block, blocks
from worker.cli import app
from worker.network import load_engine
from worker.records.schemas import make_schema
from worker.settings import load_settings
from worker.tools.score_file import LineScorer
from worker.tools.terminal.scored_text import show_scored


@pytest.mark.parametrize("block", blocks("json"), ids=lambda block: block.page)
def test_json_is_json(block: Block) -> None:
    for text in re.split(r"\n(?=\{)", block.text.replace(", ...", "")):
        json.loads(text)


def test_the_event_of_the_readme_is_one_by_its_schema() -> None:
    (event,) = [one for one in blocks("json") if one.page == "README.md" and '"latency_ms"' in one.text]
    jsonschema.validate(json.loads(event.text.replace(", ...", "")), make_schema("event"))


@pytest.mark.parametrize("block", [one for one in blocks("python") if one.page == "README.md"])
def test_python_of_the_readme_runs_and_gives_what_its_comments_say(block: Block) -> None:
    names: dict[str, Any] = {}
    exec(block.text, names)
    for line in block.text.splitlines():
        code, found, comment = line.partition("  # '")
        if found:
            assert eval(code, names) == ast.literal_eval("'" + comment)


def test_the_terminal_shows_what_the_readme_says_of_score() -> None:
    (block,) = [one for one in blocks("console") if one.page == "README.md"]
    command, *shown = block.text.splitlines()
    found = re.fullmatch(r"""\$ echo "(.*)" \| \S*sentiment score -""", command)
    assert found is not None
    settings, screen = load_settings(), StringIO()
    ((text, answer),) = LineScorer(settings, load_engine(settings)).score_texts([found[1].encode()])
    show_scored(Console(file=screen, force_terminal=True, color_system="truecolor", width=100), text, answer)
    plain = re.sub(r"\x1b\[[\d;]*m", "", screen.getvalue())
    assert [line.rstrip() for line in plain.splitlines() if line.strip()] == shown


def test_what_the_page_shows_of_payloads_try_is_what_it_prints() -> None:
    (block,) = [one for one in blocks("console") if "payloads try" in one.text]
    command, *shown = block.text.splitlines()
    output = ""
    for program in command.removeprefix("$ ").split(" | "):
        result = CliRunner().invoke(app, shlex.split(program)[1:], input=output)
        assert result.exit_code == 0, result.output
        output = result.stdout
    assert [line.rstrip() for line in output.splitlines()] == shown


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: block.page)
def test_a_configuration_file_of_the_pages_is_accepted(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "worker.toml"
    file.write_text(block.text)
    assert load_settings(file).payloads
