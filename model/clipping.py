"""Clipping of gradients, so that one bad step does not undo many good ones (Pascanu et al. 2013).

The kinds, and what they do to numpy's gradients; training_loop.py clips those of torch by torch's own functions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

KINDS = ("none", "value", "norm", "global-norm")


@dataclass(frozen=True, slots=True)
class Clipping:
    """Kind and bound of the clipping of gradients before a step.

    value: every entry is clipped to -bound..bound.
    norm: the gradient of each parameter is scaled down to a norm of at most bound.
    global-norm: all gradients together are scaled down to a norm of at most bound, which keeps their direction.
    """

    kind: str = "none"
    bound: float = 1.0

    def apply(self, gradients: Iterable[NDArray[Any]]) -> None:
        """Clip float arrays in place."""
        gradients = list(gradients)
        if self.kind == "value":
            for gradient in gradients:
                np.clip(gradient, -self.bound, self.bound, out=gradient)
        elif self.kind == "norm":
            for gradient in gradients:
                self._shorten([gradient])
        elif self.kind == "global-norm":
            self._shorten(gradients)

    def _shorten(self, gradients: list[NDArray[Any]]) -> None:
        norm = np.sqrt(sum(float(np.vdot(gradient, gradient)) for gradient in gradients))
        if norm > self.bound:
            for gradient in gradients:
                np.multiply(gradient, self.bound / norm, out=gradient)
