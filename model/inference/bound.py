"""What a stream's state adds to the logits of a text: bounded, and only between positive and negative.

The state's own addend x, less its mean over the classes, becomes b = c tanh(x / c) with the bound c of the checkpoint.
Half of the difference of b between positive and negative, at most c, is the tilt t: it is added to the positive logit
and taken from the negative one. The neutral logit follows the larger of the two, so that it keeps its lead or its lag.

So whatever the state, no logit moves by more than c; a text that is neutral alone is neutral in every stream, and no
other text is; and a text whose positive and negative logits are more than 2c apart keeps its label.
A checkpoint without a bound adds x as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.inference.kernels.compiled import compiled

FloatArray = NDArray[np.floating]


def bound_addend(addend: FloatArray, bound: float | None) -> FloatArray:
    """The addend (texts, classes) of a stream, bounded: (-t, 0, t) of each text; as it is where there is no bound."""
    if bound is None:
        return addend
    bounded: FloatArray = _bounded(addend, bound)
    return bounded


def add_to_logits(logits: FloatArray, addend: FloatArray, bound: float | None) -> FloatArray:
    """The logits (texts, classes) of texts in their streams; `addend` is from `bound_addend`.

    Not compiled: the loops may reorder sums, and an addend of zero has to leave the logits exactly as they are.
    """
    moved: FloatArray = logits + addend
    if bound is not None:
        moved[:, 1] += np.maximum(moved[:, 0], moved[:, 2]) - np.maximum(logits[:, 0], logits[:, 2])
    return moved


@compiled
def _bounded(addend: Any, bound: float) -> Any:
    out = np.empty_like(addend)
    for text in range(len(addend)):
        negative, neutral, positive = addend[text, 0], addend[text, 1], addend[text, 2]
        mean = (negative + neutral + positive) / 3
        tilt = bound * (np.tanh((positive - mean) / bound) - np.tanh((negative - mean) / bound)) / 2
        out[text, 0], out[text, 1], out[text, 2] = -tilt, 0, tilt
    return out
