"""Examples of the pages are what they say they are."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import jsonschema
import pytest

from tests.unit.docs.pages import Block, blocks
from worker.records.schemas import make_schema


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
