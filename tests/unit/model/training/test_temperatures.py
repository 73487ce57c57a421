"""Temperatures by language: from texts that nobody learnt from, and near none where these are few."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from rich.progress import Progress

from model.config import NUM_CLASSES, TrainConfig
from model.training.batches import EncodedTexts
from model.training.fit import TrainingRun
from model.training.run_folder import RunFolder
from model.training.temperatures import fit_by_language
from model.training.train import new_network
from tests.unit.model.conftest import CONFIG


def _run(folder: Path) -> TrainingRun:
    config = TrainConfig()
    network = new_network(CONFIG, config)
    return TrainingRun(network, config, RunFolder(folder, CONFIG, config), Progress(disable=True))


def _texts(run: TrainingRun, num_texts: int, share_right: float) -> EncodedTexts:
    """Random texts, of which the network has this share right, and is sure of all."""
    rng = np.random.default_rng(1)
    ids = [rng.integers(4, CONFIG.num_words, 5).astype(np.int32) for _ in range(num_texts)]
    with torch.no_grad():
        run.network.readout.weight *= 20
    run.network.eval()
    with torch.no_grad():
        tokens, lengths = torch.from_numpy(np.array(ids, np.int64)), torch.full((num_texts,), 5)
        guesses = run.network.text_logits(tokens, lengths).argmax(dim=1).numpy()
    labels = np.where(rng.random(num_texts) < share_right, guesses, (guesses + 1) % NUM_CLASSES)
    return EncodedTexts.of_corpus("c", ids, np.eye(NUM_CLASSES, dtype=np.float32)[labels], [""] * num_texts)


def test_a_language_that_is_often_misread_is_less_sure_and_few_texts_say_little(tmp_path: Path) -> None:
    run = _run(tmp_path)
    texts = _texts(run, 300, share_right=0.5)
    few = EncodedTexts(texts.ids[:6], texts.targets[:6], texts.log_prior[:6], texts.streams[:6])
    found = fit_by_language(run, {"de": texts, "ko": few})
    assert found["de"] > 0.5
    assert abs(found["ko"]) < found["de"]
    assert fit_by_language(run, {}) == {}


def test_the_log_says_what_the_error_is_of_texts_that_a_temperature_was_not_fitted_on(tmp_path: Path) -> None:
    run = _run(tmp_path)
    texts = _texts(run, 400, share_right=0.5)
    one = EncodedTexts(texts.ids[:1], texts.targets[:1], texts.log_prior[:1], texts.streams[:1])
    fit_by_language(run, {"de": texts, "ko": one})
    entry = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert entry["stage"] == "calibration error by language, each half by the temperature of the other"
    assert entry["de"] < 0.1
    assert 0 <= entry["ko"] <= 1
