"""What a stream's state adds to the logits of a text: bounded, and only between positive and negative.

The state's own addend x, less its mean over the classes, becomes b = c tanh(x / c) with the bound c of the checkpoint.
Half of the difference of b between positive and negative, at most c, is the tilt t: it is added to the positive logit
and taken from the negative one. The neutral logit follows the larger of the two, so that it keeps its lead or its lag.

So whatever the state, no logit moves by more than c; a text that is neutral alone is neutral in every stream, and no
other text is; and a text whose positive and negative logits are more than 2c apart keeps its label.
A checkpoint without a bound adds x as it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]


def bound_addend(addend: FloatArray, bound: float | None) -> FloatArray:
    """The addend (texts, classes) of a stream, bounded: (-t, 0, t) of each text; as it is where there is no bound."""
    if bound is None:
        return addend
    centred = addend - addend.mean(axis=1, keepdims=True)
    bounded = bound * np.tanh(centred / bound)
    tilt = (bounded[:, 2] - bounded[:, 0]) / 2
    return np.stack([-tilt, np.zeros_like(tilt), tilt], axis=1)


def add_to_logits(logits: FloatArray, addend: FloatArray, bound: float | None) -> FloatArray:
    """The logits (texts, classes) of texts in their streams; `addend` is from `bound_addend`."""
    moved: FloatArray = logits + addend
    if bound is not None:
        moved[:, 1] += moved[:, ::2].max(axis=1) - logits[:, ::2].max(axis=1)
    return moved
