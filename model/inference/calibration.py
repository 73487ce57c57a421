"""Temperature scaling of the logits (Guo et al. 2017, "On Calibration of Modern Neural Networks").

One temperature does not fit tweets, sentences and reviews alike, so it depends on the length of the text:
log T = a + b log(1 + tokens). T is always positive, so it never changes a label.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DoubleArray = NDArray[np.float64]


def temperatures(log_temperature: NDArray[np.floating], num_tokens: NDArray[np.integer]) -> DoubleArray:
    """The temperatures (texts,) of texts with `num_tokens` (texts,) tokens; `log_temperature` (2,) is a and b."""
    constant, by_length = log_temperature.astype(np.float64)
    found: DoubleArray = np.exp(constant + by_length * np.log1p(num_tokens))
    return found
