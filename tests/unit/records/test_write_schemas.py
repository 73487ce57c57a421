"""`python -m worker.records.schemas` writes every published schema."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from worker.records import schemas


def test_the_command_writes_every_schema_and_names_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(schemas, "FOLDER", tmp_path)
    runpy.run_module("worker.records.schemas", run_name="__main__")
    assert {file.stem for file in tmp_path.iterdir()} == set(schemas.PUBLISHED)
    assert capsys.readouterr().out.split() == [str(tmp_path / f"{name}.json") for name in schemas.PUBLISHED]
    assert all((tmp_path / f"{name}.json").read_text() == schemas.render_schema(name) for name in schemas.PUBLISHED)
