"""Macro-F1, and how far a figure may be off because a corpus has only so many texts."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

Z = 1.96  # standard errors on both sides: 95%
NUM_RESAMPLED, SEED = 1000, 0

Interval = tuple[float, float]


def macro_f1(confusion: NDArray[np.int_], classes: Sequence[int]) -> float:
    """Mean F1 of `classes`, of (classes, classes) counts [true][predicted]."""
    return float(_macro_f1(confusion[None], classes)[0])


def accuracy_interval(num_right: int, num_texts: int) -> Interval:
    """The 95% interval of an accuracy: Wilson 1927, "Probable Inference, the Law of Succession"."""
    share, z2 = num_right / num_texts, Z * Z / num_texts
    middle, half = share + z2 / 2, Z * sqrt(share * (1 - share) / num_texts + z2 / (4 * num_texts))
    return (middle - half) / (1 + z2), (middle + half) / (1 + z2)


def macro_f1_interval(confusion: NDArray[np.int_], classes: Sequence[int]) -> Interval:
    """The 95% interval of a macro-F1, by the bootstrap (Efron 1979) over the texts."""
    counts = confusion.ravel()
    rng = np.random.default_rng(SEED)
    resampled = rng.multinomial(counts.sum(), counts / counts.sum(), NUM_RESAMPLED).reshape(-1, *confusion.shape)
    low, high = np.quantile(_macro_f1(resampled, classes), (0.025, 0.975)).tolist()
    return low, high


def _macro_f1(confusions: NDArray[np.int_], classes: Sequence[int]) -> NDArray[np.float64]:
    """(tables,) of (tables, classes, classes) counts."""
    right = np.diagonal(confusions, axis1=1, axis2=2)
    named = confusions.sum(axis=1) + confusions.sum(axis=2)
    f1: NDArray[np.float64] = 2 * right / np.maximum(named, 1)
    return f1[:, list(classes)].mean(axis=1)  # type: ignore[no-any-return]
