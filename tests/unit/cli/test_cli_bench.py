"""The command that measures: bench engine. What it measures is tested with the model; here, how it is shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import model
from worker.cli import app
from worker.errors import EXIT_FAILED, EXIT_OK

pytestmark = pytest.mark.usefixtures("same_logs_afterwards")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["bench", "engine", *map(str, arguments)])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the bench was asked for, which takes no time."""
    given: dict[str, Any] = {}

    def measure(texts: Sequence[str], **options: Any) -> model.EngineBench:
        given.update(options, texts=texts)
        options["on_progress"]("everything")
        return measured()

    monkeypatch.setattr(model, "measure_engine", measure, raising=False)
    monkeypatch.setattr(model, "num_bench_texts", lambda *, quick: 8 if quick else 16, raising=False)
    return given


def measured() -> model.EngineBench:
    row = model.BenchRow(name="float32 against torch packed", value=2.5, unit="x", hidden_size=128, bar=model.Bar(2.8))
    latency = model.BenchRow(name="one text", value=0.5, unit="ms", bar=model.Bar(1, is_least=False), note="p99 0.6 ms")
    speed = model.BenchSpeed(
        name="packed",
        title="torch nn.LSTM, packed",
        hidden_size=128,
        texts_per_s=9096,
        tokens_per_s=181_920,
        gflops=23.8,
        max_difference=2e-7,
        mean_difference=None,
    )
    machine = {"processor": "A processor", "cores": 2, "features": ["avx2"], "matrix_gflops": 119.0}
    settings = {"texts": 64, "batch": 32, "rounds": 1, "mean_tokens": 20.0}
    return model.EngineBench(machine=machine, settings=settings, speeds=[speed], rows=[row, latency])


def test_the_tables_say_what_each_figure_is_held_against(asked: dict[str, Any]) -> None:
    result = run()
    assert result.exit_code == EXIT_OK, result.output
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.stdout.splitlines() if "│" in line]
    assert ["torch nn.LSTM, packed", "9,096", "23.8", "20%", "2.0e-07", ""] in cells
    assert ["float32 against torch packed", "128", "2.50x", ">= 2.80x", "no", ""] in cells
    assert ["one text", "", "0.5 ms", "<= 1 ms", "yes", "p99 0.6 ms"] in cells
    assert len(asked["texts"]) == 16


def test_json_is_one_object(asked: dict[str, Any], tmp_path: Path) -> None:
    result = run("--json", "--quick", "--plots", tmp_path, "--checkpoint", tmp_path / "mine")
    assert result.exit_code == EXIT_OK, result.output
    assert json.loads(result.stdout) == measured().to_dict()
    assert (asked["quick"], asked["plots"]) == (True, tmp_path)
    assert Path(asked["checkpoint"]).name == "mine"
    assert len(asked["texts"]) == 8


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(texts: Sequence[str], **options: Any) -> model.EngineBench:
        raise model.ModelError("the bench needs packages: pip install '.[bench]'")

    monkeypatch.setattr(model, "measure_engine", missing, raising=False)
    monkeypatch.setattr(model, "num_bench_texts", lambda *, quick: 1, raising=False)
    result = run()
    assert result.exit_code == EXIT_FAILED
    assert result.stderr == "sentiment: the bench needs packages: pip install '.[bench]'\n"
