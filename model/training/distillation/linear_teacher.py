"""A linear classifier of words and word pairs: a second teacher for reviews, beside the encoder.

Wang and Manning 2012, "Baselines and Bigrams: Simple, Good Sentiment and Topic Classification": logistic regression
on the presence of words and pairs, each scaled by its naive-Bayes log-count ratio. It is good at long texts with
repeated words, trains in a minute, and makes other errors than a recurrent network.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from model.config import NUM_CLASSES
from model.data.corpora import NEGATIVE, POSITIVE
from model.training.batches import ABSENT, EncodedTexts, Ids

NUM_PAIRS = 1 << 20  # columns that pairs share by hash
REGULARISATION = 0.2  # C of the logistic regression, chosen on held-out films


class LinearTeacher:
    """Log probabilities of encoded texts that are either negative or positive."""

    def __init__(self, num_rows: int) -> None:
        self._num_rows = num_rows
        self._known: NDArray[np.intp] = np.zeros(0, np.intp)  # columns in use
        self._ratios = np.zeros(0)
        self._regression = LogisticRegression(C=REGULARISATION, solver="liblinear")

    def fit(self, texts: EncodedTexts) -> None:
        """Learn from labelled texts."""
        positive = texts.targets[:, POSITIVE] > texts.targets[:, NEGATIVE]
        present = self._present(texts.ids)
        self._known = np.flatnonzero(np.asarray(present.sum(axis=0)).ravel() > 1)
        present = present[:, self._known]
        counts = [1 + np.asarray(present[chosen].sum(axis=0)).ravel() for chosen in (positive, ~positive)]
        self._ratios = np.log(counts[0] / counts[0].sum()) - np.log(counts[1] / counts[1].sum())
        self._regression.fit(present.multiply(self._ratios).tocsr(), positive)

    def logits(self, ids: Sequence[Ids]) -> NDArray[np.float32]:
        """(texts, classes) log probabilities; ABSENT for neutral."""
        scaled = self._present(ids)[:, self._known].multiply(self._ratios).tocsr()
        logits = np.full((len(ids), NUM_CLASSES), ABSENT, np.float32)
        logits[:, [NEGATIVE, POSITIVE]] = self._regression.predict_log_proba(scaled)
        return logits

    def _present(self, texts: Sequence[Ids]) -> csr_matrix:
        """(texts, words and pairs): one where a text has the word or pair."""
        columns = [np.unique(np.concatenate([text, self._pairs(text)])) for text in texts]
        ends = np.cumsum([0, *map(len, columns)])
        shape = (len(texts), self._num_rows + NUM_PAIRS)
        return csr_matrix((np.ones(ends[-1], np.float32), np.concatenate(columns), ends), shape=shape)

    def _pairs(self, text: Ids) -> NDArray[np.int64]:
        first, second = text[:-1].astype(np.int64), text[1:]
        return self._num_rows + (first * 1_000_003 + second) % NUM_PAIRS
