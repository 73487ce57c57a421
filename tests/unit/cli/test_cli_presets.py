"""`sentiment compare` without checkpoints: trains a small version of every preset and shows the published figures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from model.baselines import BASELINES
from worker.cli import app
from worker.errors import EXIT_FAILED, EXIT_MISUSED, EXIT_OK

pytestmark = pytest.mark.usefixtures("same_logs_afterwards")


def run(*arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a quick comparison."""
    folder = tmp_path_factory.mktemp("runs") / "presets"
    result = run("compare", "--quick", "--run", folder)
    assert result.exit_code == EXIT_OK, result.output
    return folder


def test_every_preset_has_a_row_with_its_published_and_its_measured_figure(finished: Path) -> None:
    result = run("compare", "--quick", "--run", finished, "--json")
    assert result.exit_code == EXIT_OK, result.output
    systems = {system["name"]: system for system in json.loads(result.stdout)["systems"]}
    assert list(systems) == list(BASELINES)
    for name, preset in BASELINES.items():
        outcome = systems[name]["outcome"]
        assert (systems[name]["published"], systems[name]["source"]) == (preset.published, preset.source)
        assert preset.metric in outcome["figures"]
        assert outcome["num_parameters"] > 0
        assert outcome["seconds"] > 0


def test_the_table_and_the_curves_are_written_to_the_run_folder(finished: Path) -> None:
    lines = (finished / "comparison.md").read_text().splitlines()
    assert [line.split("`")[1] for line in lines if line.startswith("| `")] == list(BASELINES)
    assert [line.split("`")[1] for line in lines if line.startswith("- `")] == list(BASELINES)
    assert "79.02%" in next(line for line in lines if line.startswith("| `imdb-rnn`"))
    curves = (finished / "curves.svg").read_text()
    for name in BASELINES:
        outcome = json.loads((finished / name / "outcome.json").read_text())
        assert (f">{name}<" in curves) == bool(outcome["curve"])


def test_finished_runs_are_reused_and_missing_ones_are_trained(finished: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished, tmp_path / "presets")
    last = list(BASELINES)[-1]
    shutil.rmtree(folder / last)
    outcome = json.loads((folder / "imdb-rnn" / "outcome.json").read_text()) | {"seconds": 1234567.0}
    (folder / "imdb-rnn" / "outcome.json").write_text(json.dumps(outcome))
    result = run("compare", "--quick", "--run", folder)
    assert result.exit_code == EXIT_OK, result.output
    rows = {line.split("│")[1].strip(): line for line in result.stdout.splitlines() if line.startswith("│")}
    assert list(rows) == list(BASELINES)
    assert "1,234,567.0" in rows["imdb-rnn"]
    assert (folder / last / "outcome.json").exists()


def test_a_folder_of_quick_runs_refuses_long_ones_and_missing_data_is_named_first(
    finished: Path, data_folder: Path, tmp_path: Path
) -> None:
    result = run("compare", "--data", data_folder, "--run", finished)
    assert result.exit_code == EXIT_MISUSED
    assert "holds a run with other settings" in result.stderr
    result = run("compare", "--data", tmp_path, "--run", tmp_path / "new")
    assert result.exit_code == EXIT_FAILED
    assert f"the data directory lacks {tmp_path}/reviews/imdb_train.jsonl.gz" in result.stderr
    assert not (tmp_path / "new").exists()


def test_a_run_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    result = run("compare", "--quick", "--run", tmp_path / "file")
    assert result.exit_code == EXIT_MISUSED
    assert "cannot be written to" in result.stderr
