"""The checks for a GPU, on CPU tensors, where their figures mean nothing; and the command without a GPU."""

from __future__ import annotations

import pytest
import torch
from typer.testing import CliRunner

from benchmarks.gpu import checks
from benchmarks.gpu.__main__ import app
from model import make_phrases
from model.checkpoint import PACKAGED
from worker.errors import EXIT_DEPENDENCY

TEXTS = [phrase.text for phrase in make_phrases(1, 24)]


@pytest.fixture
def _small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "DEFAULT_CHECKPOINT", PACKAGED / "small")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here: `make gpu-check` uses it")
def test_without_a_gpu_the_command_says_what_is_missing() -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == EXIT_DEPENDENCY
    assert "nothing was measured: device cuda cannot be used" in result.stderr
    assert result.stdout == ""


def test_the_laws_hold_on_tensors_of_the_cpu() -> None:
    found = checks.check_laws("cpu", TEXTS)
    assert found["holds"], found
    assert len(found["differences"]) == 4


@pytest.mark.usefixtures("_small_network")
def test_a_law_that_does_not_hold_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "BOUND", -1.0)
    assert not checks.check_laws("cpu", TEXTS[:3])["holds"]


@pytest.mark.usefixtures("_small_network")
def test_errors_are_given_for_each_precision() -> None:
    found = checks.measure_errors("cpu", TEXTS)
    assert set(found["errors"]) == {"float32", "tf32", "bf16"}
    assert found["holds"], found
    assert found["errors"]["bf16"]["largest"] > found["errors"]["float32"]["largest"]


def test_each_batch_is_measured_beside_the_peer_in_both_precisions() -> None:
    found = checks.measure_cudnn(16, device="cpu", batches=(1, 4), num_calls=2)
    assert [row["name"].partition(" against ")[0] for row in found["rows"]] == ["CUDA float32"] * 2 + ["CUDA tf32"] * 2
    assert all("texts/s against" in row["note"] for row in found["rows"])


def test_a_check_that_fails_does_not_keep_the_others_from_being_made() -> None:
    def fails() -> checks.Found:
        raise RuntimeError("out of memory")

    found = checks.run_checks({"first": fails, "second": lambda: {"holds": True}}, 60.0, lambda line: None)
    assert not found["holds"]
    assert "out of memory" in found["checks"]["first"]["error"]
    assert found["checks"]["second"]["holds"]
    late = checks.run_checks({"second": lambda: {"holds": True}}, -1.0, lambda line: None)
    assert late["checks"]["second"] == {"skipped": "no time was left"}
