"""The machine: its processor, and what one of its threads can do, as a roof for the measured rates."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.engine.timing import best_seconds

_MATRIX_SIZE = 1024  # rows and columns: large enough for the full rate
_COPIED_BYTES = {"memory": 1 << 27, "cache": 1 << 18}
_FEATURES = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_bf16", "amx_int8")
_LIBRARIES = ("numpy", "numba", "torch", "onnxruntime", "vaderSentiment")


def describe() -> dict[str, Any]:
    """The processor, its relevant features, and the versions of the libraries."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    fields = dict(line.split("\t: ", 1) for line in reversed(lines) if "\t: " in line)
    fields = {name.strip(): value for name, value in fields.items()}
    flags = fields.get("flags", "").split()
    return {
        "processor": fields.get("model name", platform.processor() or platform.machine()),
        "features": [feature for feature in _FEATURES if feature in flags],
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _LIBRARIES},
    }


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
