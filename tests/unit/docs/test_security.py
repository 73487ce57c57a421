"""Every test that the page on security names exists."""

from __future__ import annotations

import ast
import re

import pytest

from tests.unit.docs.pages import ROOT, text_of

PAGE = text_of(ROOT / "docs/security.md")
NAMED = sorted(set(re.findall(r"`(tests/\S+\.py)::(\w+)`", PAGE)))


def test_the_page_names_tests_of_every_line_that_does_not_say_can() -> None:
    who = PAGE.partition("## Fuzzing")[0]
    lines = [line for line in who.splitlines() if line.startswith("| ") and line.count(" | ") >= 2]
    rows = [line for line in lines if not line.startswith("| somebody")]
    assert len(NAMED) >= 30
    assert [line for line in rows if "::test_" not in line and "**can**" not in line] == []


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_that_the_page_names_exists(path: str, name: str) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
