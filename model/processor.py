"""The processor that numba compiles for; imported before anything is compiled, since numba asks once.

Processors with AVX2 and nothing wider compile for one named set, x86-64-v3: what one of them has compiled, as when an
image is built, serves all of them. NUMBA_CPU_NAME and NUMBA_CPU_FEATURES choose another one.
"""

from __future__ import annotations

from collections.abc import Mapping

import llvmlite.binding as llvm
from numba.core import config

BASELINE = "x86-64-v3"
BASELINE_FEATURES = frozenset(
    {"avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "popcnt", "sse4.2", "xsave"}
)
_WIDER = frozenset({"avx512f", "avxvnni"})


def baseline_fits(features: Mapping[str, bool]) -> bool:
    """Whether a processor has all that the baseline needs, and nothing that the kernels have better loops for."""
    there = {name for name, is_there in features.items() if is_there}
    return there >= BASELINE_FEATURES and not there & _WIDER


if config.CPU_NAME is None and config.CPU_FEATURES is None and baseline_fits(llvm.get_host_cpu_features()):
    config.CPU_NAME, config.CPU_FEATURES = BASELINE, ",".join(f"+{name}" for name in sorted(BASELINE_FEATURES))
