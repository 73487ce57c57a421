"""The small classifiers learn, resume, clip gradients, and refuse other words and hyperparameters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from model.baselines import BASELINES
from model.errors import ConfigError
from tests.unit.model.baselines.small_runs import CutError, reviews, run_small, write_corpora

CLASSIFIERS = ("imdb-frozen-vectors", "imdb-rnn", "imdb-lstm", "imdb-gru", "tweets-simple-rnn")


def test_it_learns_positive_and_negative_words_from_generated_phrases(tmp_path: Path) -> None:
    outcome = run_small("imdb-gru", tmp_path, epochs=6, learning_rate=2e-2, dropout=0.0, num_layers=1, num_texts=0)
    assert outcome.figures["test accuracy"] > 0.8
    assert outcome.curve[-1].loss < outcome.curve[0].loss


@pytest.mark.parametrize("name", ["imdb-frozen-vectors", "imdb-lstm", "tweets-simple-rnn"])
def test_a_run_that_was_cut_off_ends_as_one_that_was_not(name: str, tmp_path: Path) -> None:
    whole = run_small(name, tmp_path / "whole", epochs=3)
    with pytest.raises(CutError):
        run_small(name, tmp_path / "cut", epochs=3, cut=0.5)
    assert not (tmp_path / "cut" / "outcome.json").exists()
    resumed = run_small(name, tmp_path / "cut", epochs=3)
    assert resumed.curve == whole.curve
    assert resumed.figures == whole.figures
    ours, theirs = (load_file(tmp_path / run / "network.safetensors") for run in ("cut", "whole"))
    for tensor, value in theirs.items():
        np.testing.assert_array_equal(ours[tensor], value)


def test_the_accuracies_of_the_test_batches_average_to_the_overall_accuracy(tmp_path: Path) -> None:
    outcome = run_small("imdb-rnn", tmp_path)
    batches = json.loads((tmp_path / "test_batches.json").read_bytes())
    assert (min(batches), max(batches)) == (
        outcome.figures["lowest batch accuracy"],
        outcome.figures["highest batch accuracy"],
    )
    num_texts = int(outcome.notes[0].split(":")[1].split(";")[0].split(" and ")[1])
    sizes = [min(32, num_texts - start) for start in range(0, num_texts, 32)]
    assert np.average(batches, weights=sizes) == pytest.approx(outcome.figures["test accuracy"])


@pytest.mark.parametrize("kind", ["value", "norm", "global-norm"])
def test_gradients_clipped_to_almost_nothing_leave_the_network_as_it_was(kind: str, tmp_path: Path) -> None:
    tensors = []
    for epochs in (1, 2):
        config = {"clip": kind, "clip_at": 1e-13, "learning_rate": 1e-4, "epochs": epochs}  # far below Adam's epsilon
        run_small("imdb-rnn", tmp_path / str(epochs), **config)
        tensors.append(load_file(tmp_path / str(epochs) / "network.safetensors"))
    for name, tensor in tensors[0].items():
        np.testing.assert_allclose(tensors[1][name], tensor, rtol=0, atol=1e-6)


def test_a_run_with_another_vocabulary_is_refused(tmp_path: Path) -> None:
    first = write_corpora(tmp_path / "first", reviews(), "imdb")
    with pytest.raises(CutError):
        run_small("imdb-rnn", tmp_path / "run", first, cut=0.1)
    other = write_corpora(tmp_path / "other", [row | {"text": f"other {row['text']}"} for row in reviews()], "imdb")
    with pytest.raises(ConfigError, match="began with other texts"):
        run_small("imdb-rnn", tmp_path / "run", other)


@pytest.mark.parametrize(
    ("config", "problem"),
    [({"cell": "mlp"}, "cell must be"), ({"zeros": "left"}, "zeros must be"), ({"dropout": 1.0}, "below 1")],
)
def test_hyperparameters_that_no_classifier_can_have_are_refused(config: dict[str, Any], problem: str) -> None:
    for name in CLASSIFIERS:
        with pytest.raises(ConfigError, match=problem):
            BASELINES[name].config_with(config)
