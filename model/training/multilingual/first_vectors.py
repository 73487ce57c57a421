"""First vectors of words that an English network does not have, in the space of the vectors that it has learnt.

Mikolov et al. 2013, "Exploiting Similarities among Languages for Machine Translation": a linear map from one space of
vectors to another carries words that were not used to fit it. Here it leads from the encoder's vectors, which hold all
languages in one space, to those of the English network, and is fitted on the English words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from model.training.multilingual.vector_cache import VectorCache
from model.training.multilingual.vocabulary import spelled_out

NUM_ANCHORS = 5_000  # English words, the most frequent ones, that the map is fitted on
RIDGE = 0.3  # relative to the mean variance of the encoder's components

Vectors = NDArray[np.float32]


def first_vectors(
    words: Sequence[str],
    english: Vectors,
    cache: VectorCache,
    on_word: Callable[[int], None] = lambda done: None,
) -> Vectors:
    """(words, embedding): those of `english` for as many words, which come first, and mapped ones for the others."""
    anchors = np.array([row for row, word in enumerate(words[: len(english)]) if word.isalpha()][:NUM_ANCHORS], np.intp)
    others = words[len(english) :]
    read = cache.vectors([spelled_out(word) for word in [*(words[row] for row in anchors), *others]], on_word)
    mapped = map_vectors(read[: len(anchors)], english[anchors], read[len(anchors) :])
    return np.concatenate([english, mapped])


def map_vectors(anchors: Vectors, targets: Vectors, others: Vectors) -> Vectors:
    """The images of `others` under the linear map of least squares, with a ridge, from `anchors` to `targets`."""
    mean, target_mean = anchors.mean(axis=0), targets.mean(axis=0)
    x = (anchors - mean).astype(np.float64)
    covariance = x.T @ x / max(len(x), 1)
    ridge = RIDGE * max(float(np.trace(covariance)) / len(covariance), 1e-12) * np.eye(len(covariance))
    weights = np.linalg.solve(covariance + ridge, x.T @ (targets - target_mean) / max(len(x), 1))
    mapped: Vectors = ((others - mean) @ weights + target_mean).astype(np.float32)
    return mapped
