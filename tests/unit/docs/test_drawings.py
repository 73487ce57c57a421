"""The drawings of the architecture show the folders and the layers that there are."""

from __future__ import annotations

import re
import tomllib

from tests.unit.docs.pages import ROOT, blocks

WAY, LAYERS, ENGINES = (block.text for block in blocks("text") if block.page == "docs/architecture.md")


def test_the_drawings_of_the_architecture_name_what_there_is() -> None:
    named = re.findall(r"\b(?:worker|model)/[\w/.]+", WAY + ENGINES)
    assert len(named) > 5
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_layers_of_the_architecture_are_those_that_lint_holds() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    held = {contract["containers"][0]: contract["layers"] for contract in contracts if contract["type"] == "layers"}
    drawn = {part.split()[0]: part.split(maxsplit=1)[1] for part in re.split(r"\n(?=\w)", LAYERS)}
    assert {room: [" ".join(layer.split()) for layer in line.split(">")] for room, line in drawn.items()} == held
