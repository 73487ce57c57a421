"""How sure the network may be of a text: the temperature that its logits are divided by (Guo et al. 2017, "On
Calibration of Modern Neural Networks").

One temperature cannot serve tweets, sentences and reviews. What tells them apart without being told is how long they
are: log T = a + b log(1 + tokens). It is above zero for every text, so that it never changes a label.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DoubleArray = NDArray[np.float64]


def temperatures(log_temperature: NDArray[np.floating], num_tokens: NDArray[np.integer]) -> DoubleArray:
    """(texts,) temperatures of texts of which so many tokens were read; `log_temperature` (2,): a and b."""
    constant, by_length = log_temperature.astype(np.float64)
    found: DoubleArray = np.exp(constant + by_length * np.log1p(num_tokens))
    return found
