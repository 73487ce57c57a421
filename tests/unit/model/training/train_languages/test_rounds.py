"""Rounds of the training of many languages: it learns them, resumes, and goes on from a finished run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from model.checkpoint import load_checkpoint
from model.config import Understanding
from model.evaluation.evaluate import evaluate_checkpoint
from model.inference.batch import Request
from model.inference.engine import InferenceEngine
from model.text.plain_forms import NORMALISATIONS
from model.text.tokenizer import PIECES
from model.training import fit
from model.training.multilingual import train_languages
from tests.unit.model.training.markdown import uneven_tables
from tests.unit.model.training.train_languages.small_runs import train
from tests.unit.model.training.train_languages.toy_languages import ENGLISH


def test_a_network_learns_languages_that_its_english_one_did_not_know(
    english: Path, data: Path, tmp_path: Path
) -> None:
    checkpoint = train(english, data, tmp_path / "run")
    loaded = load_checkpoint(checkpoint)
    assert loaded.tokenizer == PIECES
    assert loaded.normalisation == NORMALISATIONS[-1]
    assert loaded.understanding == Understanding(languages=("de", "en", "zh"), min_known=0.6)
    [read] = InferenceEngine(loaded).score([Request(0, "der film war wunderbar und sch\u00f6n")])
    assert read.not_understood is None
    assert {"wunderbar", "\u597d\u770b", "\U0001f60d"} <= set(loaded.words)
    assert loaded.words[: len(ENGLISH)] == tuple(ENGLISH)
    evaluation = evaluate_checkpoint(checkpoint, data)
    assert evaluation.row("de_tweets").accuracy > 0.9
    assert evaluation.row("zh_meals").accuracy > 0.9
    card = (checkpoint / "README.md").read_text()
    assert "| de | de_tweets | 60 | " in card
    assert uneven_tables(card) == []
    assert load_checkpoint(english / "checkpoint").fingerprint in card
    assert evaluation.row("semeval_dev").accuracy > 0.6, "half of its targets come from a network of random weights"


def test_a_killed_run_goes_on_and_more_rounds_go_on_from_a_finished_one(
    english: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "SAVE_EVERY", 4)
    whole = train(english, data, tmp_path / "whole", num_rounds=2)
    steps = 0
    saved = fit.RunFolder.save_step

    def save_then_die(folder: fit.RunFolder, stage: str, loop: fit.TrainingLoop) -> None:
        nonlocal steps
        saved(folder, stage, loop)
        steps += 1
        if steps in {2, 9}:
            raise KeyboardInterrupt

    monkeypatch.setattr(fit.RunFolder, "save_step", save_then_die)
    killed, num_kills = tmp_path / "killed", 0
    for num_rounds in (1, 1, 2, 2):
        try:
            train(english, data, killed, num_rounds=num_rounds)
        except KeyboardInterrupt:
            num_kills += 1
    assert num_kills == 2
    there, here = (load_checkpoint(folder) for folder in (whole, killed / "checkpoint"))
    assert here.fingerprint == there.fingerprint
    assert (killed / "metrics-1.json").exists()


def test_rounds_go_on_from_the_checkpoint_of_another_run(english: Path, data: Path, tmp_path: Path) -> None:
    first = train(english, data, tmp_path / "first")
    again = train(english, data, tmp_path / "again", num_rounds=2, first_round=tmp_path / "first")
    there, here = load_checkpoint(first), load_checkpoint(again)
    assert here.words == there.words
    assert not (tmp_path / "again" / "round-1.safetensors").exists()
    learnt = load_file(tmp_path / "again" / "round-2.safetensors")["readout.weight"]
    mean = (there.weights["readout.weight"] + learnt) / 2
    np.testing.assert_allclose(here.weights["readout.weight"], mean, atol=1e-3)  # of half precision
    assert here.log_temperature_by_language.keys() == there.log_temperature_by_language.keys() == {"de", "zh"}
    assert f"1 round after those of `{there.fingerprint}`" in (again / "README.md").read_text()


def test_the_mean_of_the_last_rounds_is_packaged(
    english: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_languages, "AVERAGED_ROUNDS", 2)
    train(english, data, tmp_path / "run", num_rounds=3)
    rounds = [load_file(tmp_path / "run" / f"round-{number}.safetensors")["readout.weight"] for number in (2, 3)]
    packaged = load_checkpoint(tmp_path / "run" / "checkpoint").weights["readout.weight"]
    np.testing.assert_allclose(packaged, np.mean(rounds, axis=0), atol=1e-3)  # of half precision
    assert not np.allclose(packaged, rounds[1], atol=1e-3)
