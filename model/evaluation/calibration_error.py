"""How far confidence is from accuracy, and how far it would seem to be by chance alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

NUM_BINS = 15
NUM_DRAWS, DRAW_SEED = 200, 0  # of labels by chance


def calibration_error(labels: NDArray[np.int_], probabilities: NDArray[np.float64], classes: Sequence[int]) -> float:
    """Expected calibration error: mean distance between confidence and accuracy over NUM_BINS bins of confidence.

    Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", with bins of equal width.
    labels: (examples,). probabilities: (examples, classes), normalised to `classes` first.
    """
    chosen = _normalised(probabilities, classes)
    confidence = chosen.max(axis=1)
    right = np.array(classes)[chosen.argmax(axis=1)] == labels
    return float(_distances(right[np.newaxis], confidence)[0])


def calibration_error_by_chance(probabilities: NDArray[np.float64], classes: Sequence[int]) -> float:
    """The mean calibration error if every confidence were the chance of being right.

    Bins of few texts are never as right as they are sure, so that it is above zero: on some hundred texts by 0.05. The
    same as Bröcker and Smith 2007, "Increasing the Reliability of Reliability Diagrams", do for diagrams.
    probabilities: (examples, classes), normalised to `classes` first.
    """
    confidence = _normalised(probabilities, classes).max(axis=1)
    draws = np.random.default_rng(DRAW_SEED).random((NUM_DRAWS, len(confidence)))
    return float(_distances(draws < confidence, confidence).mean())


def _normalised(probabilities: NDArray[np.float64], classes: Sequence[int]) -> NDArray[np.float64]:
    chosen = probabilities[:, classes]
    normed: NDArray[np.float64] = chosen / chosen.sum(axis=1, keepdims=True)
    return normed


def _distances(right: NDArray[np.bool_], confidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """The calibration error of each row of `right`, (rows, examples); confidence: (examples,)."""
    bins = np.minimum((confidence * NUM_BINS).astype(int), NUM_BINS - 1)
    members = np.eye(NUM_BINS)[bins]
    gaps = (right - confidence) @ members
    distances: NDArray[np.float64] = np.abs(gaps).sum(axis=1) / len(confidence)
    return distances
