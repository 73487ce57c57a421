"""The temperature of a text depends on its length and its language, and never changes a label."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from model import CheckpointError, InferenceEngine, ReferenceNetwork, Request
from model.checkpoint import load_checkpoint, save_checkpoint
from model.inference.calibration import Calibration
from tests.unit.model.conftest import CONFIG, WORDS, random_weights

GERMAN = "Das war heute leider ein ziemlich langer Tag f\u00fcr uns alle"
TEXTS = {"en": "it was a great movie and the flight was late", "de": GERMAN, "und": "7 !"}


def _saved(folder: Path, by_language: dict[str, float]) -> Path:
    weights = random_weights(CONFIG)
    save_checkpoint(
        folder, name="random", config=CONFIG, words=WORDS, weights=weights, log_temperature_by_language=by_language
    )
    return folder


def test_a_longer_text_and_a_language_have_temperatures_of_their_own() -> None:
    calibration = Calibration(np.array([0.5, -0.1]), {"de": 0.7})
    found = calibration.temperatures(np.array([0, 9, 9]), ["en", "en", "de"])
    np.testing.assert_allclose(found, np.exp([0.5, 0.5 - 0.1 * math.log(10), 1.2 - 0.1 * math.log(10)]))


def test_texts_of_a_language_are_less_sure_and_no_label_changes(tmp_path: Path) -> None:
    plain = InferenceEngine.load(_saved(tmp_path / "plain", {}))
    unsure = InferenceEngine.load(_saved(tmp_path / "unsure", {"de": 1.0}))
    requests = [Request(number, text) for number, text in enumerate(TEXTS.values())]
    for language, one, other in zip(TEXTS, plain.score(requests), unsure.score(requests), strict=True):
        assert one.language.code == other.language.code == language
        assert one.label == other.label
        if language == "de":
            assert max(other.probabilities) < max(one.probabilities)
        else:
            assert other.probabilities == one.probabilities


def test_the_oracle_agrees_whole_and_in_pieces(tmp_path: Path) -> None:
    folder = _saved(tmp_path / "c", {"de": 1.0})
    engine, reference = InferenceEngine.load(folder), ReferenceNetwork.load(folder)
    pieces = [(GERMAN[:30], False), (GERMAN[30:], True)]
    for texts in ([(GERMAN, True)], pieces):
        found = engine.score([Request("s", text, final=final) for text, final in texts])
        expected = reference.read(texts)
        np.testing.assert_allclose(
            [result.probabilities for result in found], [result.probabilities for result in expected], rtol=1e-4
        )


def test_the_calibration_is_part_of_the_fingerprint_where_there_is_one(tmp_path: Path) -> None:
    fingerprints = {
        load_checkpoint(_saved(tmp_path / f"{number}", by_language)).fingerprint
        for number, by_language in enumerate([{}, {"de": 0.5}, {"de": 0.6}])
    }
    assert len(fingerprints) == 3


@pytest.mark.parametrize("value", [math.inf, "warm", None])
def test_a_calibration_that_is_no_number_is_refused(tmp_path: Path, value: object) -> None:
    folder = _saved(tmp_path / "c", {"de": value})  # type: ignore[dict-item]
    with pytest.raises(CheckpointError, match=r"config\.json: log_temperature_by_language must be numbers by language"):
        load_checkpoint(folder)
