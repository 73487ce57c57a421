"""Temperature scaling of the logits (Guo et al. 2017, "On Calibration of Modern Neural Networks").

One temperature does not fit tweets, sentences and reviews alike, nor languages of which the network has learnt more and
less, so it depends on the length of the text and its language: log T = a + b log(1 + tokens) + c[language]. T is
always positive, so it never changes a label.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

DoubleArray = NDArray[np.float64]


class Calibration:
    """The temperatures of texts. Safe to use from several threads."""

    def __init__(self, log_temperature: NDArray[np.floating], by_language: Mapping[str, float]) -> None:
        """log_temperature (2,): a and b. by_language: c of the languages that have one; it is 0 for the others."""
        self._constant, self._by_length = log_temperature.astype(np.float64)
        self._by_language = dict(by_language)

    def temperatures(self, num_tokens: NDArray[np.integer], languages: Iterable[str]) -> DoubleArray:
        """The temperatures (texts,) of texts with `num_tokens` (texts,) tokens, in languages of these codes."""
        added = np.array([self._by_language.get(code, 0.0) for code in languages])
        found: DoubleArray = np.exp(self._constant + self._by_length * np.log1p(num_tokens) + added)
        return found
