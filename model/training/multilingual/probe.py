"""The teacher of other languages: logistic regression on the encoder's vectors of labelled tweets.

Hinton et al. 2015, "Distilling the Knowledge in a Neural Network". Tweets of all languages are one problem, since their
three classes mean the same. The soft target of a labelled text comes from a regression that has not seen its label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from model.config import NUM_CLASSES
from model.training.batches import ABSENT

NUM_FOLDS = 4
REGULARISATION = 20.0  # C, for vectors of length 1

Logits = NDArray[np.float32]
Labels = NDArray[np.intp]


class Probe:
    """Logits for balanced classes."""

    def __init__(self, vectors: NDArray[np.float32], labels: Labels) -> None:
        self._regression = LogisticRegression(C=REGULARISATION, class_weight="balanced", max_iter=300)
        self._regression.fit(vectors, labels)

    def logits(self, vectors: NDArray[np.float32]) -> Logits:
        """(texts, classes); ABSENT for a class that the probe has not met."""
        found = np.full((len(vectors), NUM_CLASSES), ABSENT, np.float32)
        shares = np.maximum(self._regression.predict_proba(vectors), np.exp(ABSENT))
        found[:, self._regression.classes_] = np.log(shares)
        return found


def cross_fitted(
    vectors: Mapping[str, NDArray[np.float32]], labels: Mapping[str, Labels], seed: int
) -> dict[str, Logits]:
    """The logits of each text of all corpora, which are one problem, by a probe of the other folds."""
    names: Sequence[str] = list(vectors)
    x = np.concatenate([vectors[name] for name in names])
    y = np.concatenate([labels[name] for name in names])
    folds = np.random.default_rng(seed).permutation(len(y)) % NUM_FOLDS
    found = np.empty((len(y), NUM_CLASSES), np.float32)
    for fold in range(NUM_FOLDS):
        found[folds == fold] = Probe(x[folds != fold], y[folds != fold]).logits(x[folds == fold])
    ends = np.cumsum([len(labels[name]) for name in names])
    return dict(zip(names, np.split(found, ends[:-1]), strict=True))
