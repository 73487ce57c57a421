"""The machine: its processor, and what one of its threads can do, as a roof for the measured rates."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.engine.instruction_sets import describe_kernels
from benchmarks.engine.timing import best_seconds
from benchmarks.machine import describe_machine

_MATRIX_SIZE = 1024  # rows and columns: large enough for the full rate
_COPIED_BYTES = {"memory": 1 << 27, "cache": 1 << 18}
_LIBRARIES = ("numpy", "numba", "torch", "onnxruntime", "vaderSentiment")


def describe() -> dict[str, Any]:
    """The processor, its relevant features, what the kernels use of them, and the versions of the libraries."""
    return describe_machine() | describe_kernels() | {"versions": {name: version(name) for name in _LIBRARIES}}


def matrix_gflops(num_rounds: int) -> float:
    """The rate of a large float32 product on one thread, by the faster of numpy's BLAS and torch's."""
    a, b, out = np.ones((3, _MATRIX_SIZE, _MATRIX_SIZE), np.float32)
    a_torch, b_torch, out_torch = map(torch.from_numpy, (a, b, out))
    seconds = best_seconds(
        [partial(np.dot, a, b, out=out), partial(torch.mm, a_torch, b_torch, out=out_torch)], num_rounds
    )
    return 2 * _MATRIX_SIZE**3 / min(seconds) / 1e9


def bandwidths_gb_s(num_rounds: int) -> Mapping[str, float]:
    """Bytes per second that a copy reads and writes, in memory and within a core's cache."""
    found = {}
    for place, num_bytes in _COPIED_BYTES.items():
        source, target = np.ones((2, num_bytes // 8))
        num_copies = max(_COPIED_BYTES["memory"] // num_bytes, 1)
        [seconds] = best_seconds([partial(_copy, source, target, num_copies)], num_rounds)
        found[place] = 2 * num_bytes * num_copies / seconds / 1e9
    return found


def _copy(source: NDArray[np.float64], target: NDArray[np.float64], num_copies: int) -> None:
    for _ in range(num_copies):
        np.copyto(target, source)
