"""Tests of the imports of `model`: serving needs few packages, and errors name the missing ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import model

ROOT = Path(__file__).parents[3]
BLOCK = "import sys; sys.modules.update(dict.fromkeys(['torch', 'sklearn', 'gensim', 'scipy', 'matplotlib']));"


def _python(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BLOCK + code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_serving_and_evaluating_need_no_packages_of_training() -> None:
    names = "InferenceEngine, ReferenceNetwork, compare_checkpoints, evaluate_checkpoint, neighbours, read_examples"
    run = _python(f"from model import {names}")
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("name", ["train_checkpoint", "run_baseline"])
def test_training_without_its_packages_says_what_to_install(name: str) -> None:
    run = _python(f"from model import {name}")
    assert run.returncode != 0
    assert "pip install '.[train]'" in run.stderr


def test_every_name_that_is_exported_exists() -> None:
    for name in model.__all__:
        if not model._LAZY.get(name, "").startswith(("training.", "baselines")):  # these need torch
            assert getattr(model, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        model.absent  # noqa: B018


@pytest.mark.parametrize(
    ("values", "problems"),
    [
        ({"num_words": 0, "hidden_size": -1}, "num_words must be .*; hidden_size must be"),
        ({"num_words": True}, "num_words must be"),
        ({"num_words": 2.0}, "num_words must be"),
        ({"stream_bound": 0.0}, "stream_bound must be"),
        ({"stream_bound": float("inf")}, "stream_bound must be"),
        ({"stream_bound": True}, "stream_bound must be"),
    ],
)
def test_one_error_lists_all_invalid_sizes(values: dict[str, Any], problems: str) -> None:
    with pytest.raises(model.ConfigError, match=problems):
        model.ModelConfig(**values)
