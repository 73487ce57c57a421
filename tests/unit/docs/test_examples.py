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
from worker.settings import Settings, load_settings
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
    (block,) = [one for one in blocks("console") if one.page == "docs/connect.md"]
    command, *shown = block.text.splitlines()
    output = ""
    for program in command.removeprefix("$ ").split(" | "):
        result = CliRunner().invoke(app, shlex.split(program)[1:], input=output)
        assert result.exit_code == 0, result.output
        output = result.stdout
    assert [line.rstrip() for line in output.splitlines()] == shown


@pytest.mark.parametrize("block", blocks("sql"), ids=lambda block: block.text.split()[0])
def test_columns_in_sql_are_fields_of_the_event(block: Block) -> None:
    """Neither ksqlDB nor Flink is among the tests' servers: names and topic are all that is held."""
    types = make_schema("event")["$defs"]
    ((columns, given),) = re.findall(r"^CREATE \w+ events \((.*)\)\s+WITH \((.*)\);", block.text, re.M | re.S)
    fields, inner = re.findall(r"[\w`]+ (?:[A-Z]+<.*?>|[A-Z]+)(?: KEY)?", columns), re.findall(r"<(.*?)>", columns)
    assert {name.strip("`") for name in (field.split()[0] for field in fields)} == {"stream", "label", "score", "mood"}
    mood = {name.strip("`") for part in inner for name in re.findall(r"([\w`]+) [A-Z]+", part)}
    assert {"stream", "label", "score", "mood"} <= set(types["SentimentEvent"]["properties"])
    assert mood and mood <= set(types["EventMood"]["properties"])
    assert f"'{Settings().events_topic}'" in given
    assert "'read_committed'" in block.text


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: block.page)
def test_a_configuration_file_of_the_pages_is_accepted(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "worker.toml"
    file.write_text(block.text)
    assert load_settings(file).payloads
