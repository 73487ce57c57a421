"""Clipping of gradients, so that one bad step does not undo many good ones (Pascanu et al. 2013)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

KINDS = ("none", "value", "norm", "global-norm")


@dataclass(frozen=True, slots=True)
class Clipping:
    """Kind and bound of what is done to gradients before a step.

    value: every entry is brought into -bound..bound.
    norm: a parameter's gradient that is longer than bound is shortened to it, each on its own.
    global-norm: the same, of all gradients together, so that their direction stays.
    """

    kind: str = "none"
    bound: float = 1.0

    def apply(self, gradients: Iterable[NDArray[Any]]) -> None:
        """Clip float arrays in place. A torch gradient on the CPU shares its memory with its `numpy()`."""
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
