"""What this machine is and can do on one thread: its processor, and the rate of its matrix products."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks.engine.rounds import best_seconds

_SIZE = 1024  # of square matrices: large enough for the full rate
_FEATURES = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_bf16", "amx_int8")
_LIBRARIES = ("numpy", "numba", "torch", "onnxruntime", "vaderSentiment")


def describe() -> dict[str, Any]:
    """Processor, what of it matters here, and the versions of the libraries."""
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
    a, b, out = np.ones((3, _SIZE, _SIZE), np.float32)
    of_torch = [torch.from_numpy(array) for array in (a, b, out)]
    seconds = best_seconds(
        [lambda: np.dot(a, b, out=out), lambda: torch.mm(of_torch[0], of_torch[1], out=of_torch[2])], num_rounds
    )
    return 2 * _SIZE**3 / min(seconds) / 1e9


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep numpy's, torch's and OpenMP's products on one thread; ONNX Runtime takes it as an option of a session."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(num_threads)
