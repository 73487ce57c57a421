"""The command behaviour: tables, JSON and the corpus."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from worker.cli import app
from worker.errors import EXIT_FAILED, EXIT_OK

pytestmark = pytest.mark.usefixtures("same_logs_afterwards")


def run(*arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, ["behaviour", *map(str, arguments)])


def test_the_table_has_a_row_for_each_kind_and_the_failures(tiny_checkpoint: Path) -> None:
    result = run("--checkpoint", tiny_checkpoint, "--kind", "names", "--kind", "irony", "--json", "--failures", 2)
    assert result.exit_code == EXIT_OK, result.output
    measured = json.loads(result.stdout)
    assert [row["kind"] for row in measured["kinds"]] == ["names", "irony"]
    shown = run("--checkpoint", tiny_checkpoint, "--kind", "names", "--kind", "irony", "--failures", 2).stdout
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if "│" in line]
    for row in measured["kinds"]:
        wrong = f"{row['num_wrong'] / row['num_texts']:.1%}"
        assert [row["kind"], str(row["num_texts"]), str(row["num_wrong"]), wrong] in [cells[:4] for cells in rows]
        for failure in row["failures"]:
            assert [row["kind"], failure["label"], failure["predicted"]] in [cells[:3] for cells in rows]
    [exchange] = measured["exchanges"]
    assert f"{exchange['largest_gap']:.3f}" in shown


def test_the_half_to_train_on_is_written_as_a_corpus(tmp_path: Path) -> None:
    result = run("--write-corpus", tmp_path / "grammar.jsonl")
    assert result.exit_code == EXIT_OK, result.output
    num_lines = len((tmp_path / "grammar.jsonl").read_text(encoding="utf-8").splitlines())
    assert result.stdout.strip() == f"{tmp_path / 'grammar.jsonl'}: {num_lines:,} sentences"


def test_a_file_that_is_missing_is_named(tmp_path: Path, tiny_checkpoint: Path) -> None:
    result = run("--checkpoint", tiny_checkpoint, "--file", tmp_path / "no.jsonl")
    assert result.exit_code == EXIT_FAILED
    assert "no.jsonl: there is no such file" in result.stderr
