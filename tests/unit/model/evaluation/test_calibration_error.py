"""Confidence beside accuracy, and what of the distance is chance."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from model.evaluation.calibration_error import calibration_error, calibration_error_by_chance

TWO, THREE = (0, 2), (0, 1, 2)


def test_the_calibration_error_is_the_mean_distance_between_confidence_and_accuracy() -> None:
    labels = np.array([0, 0, 2, 2])
    # confidence 0.9 and right half of the time; confidence 0.6 and always right
    probabilities = np.array([[0.9, 0, 0.1], [0.1, 0, 0.9], [0.4, 0, 0.6], [0.4, 0, 0.6]])
    assert calibration_error(labels, probabilities, TWO) == pytest.approx((0.4 + 0.4) / 2)


def test_confidence_on_two_classes_is_relative_to_these_two() -> None:
    labels = np.array([0, 0])
    probabilities = np.array([[0.4, 0.6, 0.0], [0.4, 0.6, 0.0]])
    assert calibration_error(labels, probabilities, TWO) == pytest.approx(0)


def _sure(num_texts: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities of two classes, and for each text a number by which it is right as often as its confidence says."""
    rng = np.random.default_rng(1)
    first = rng.uniform(0.5, 1, num_texts)
    return np.stack([first, np.zeros(num_texts), 1 - first], axis=1), rng.random(num_texts)


def test_few_texts_of_a_calibrated_network_seem_as_wrong_as_chance_has_it_and_many_do_not() -> None:
    few, many = (calibration_error_by_chance(_sure(num)[0], TWO) for num in (300, 30_000))
    assert few > 0.03
    assert 0 < many < 0.01


@pytest.mark.parametrize("num_texts", [300, 3_000])
def test_a_calibrated_network_is_as_wrong_as_chance_and_an_overconfident_one_is_more(num_texts: int) -> None:
    probabilities, draws = _sure(num_texts)
    chance = calibration_error_by_chance(probabilities, TWO)
    calibrated = np.where(draws < probabilities[:, 0], 0, 2)
    overconfident = np.where(draws < probabilities[:, 0] - 0.2, 0, 2)
    assert calibration_error(calibrated, probabilities, TWO) < 2 * chance
    assert calibration_error(overconfident, probabilities, TWO) > 2 * chance


def test_chance_is_the_same_whatever_the_labels_and_at_every_call() -> None:
    probabilities, _ = _sure(200)
    assert calibration_error_by_chance(probabilities, THREE) == calibration_error_by_chance(probabilities, THREE)
