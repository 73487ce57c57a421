"""The processor that numba compiles for; imported before anything is compiled, since numba asks once.

Processors that have a named set and nothing wider compile for it: what one of them has compiled, as when an image is
built, serves all of them. NUMBA_CPU_NAME and NUMBA_CPU_FEATURES choose another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import llvmlite.binding as llvm
from numba.core import config

_AVX2 = frozenset({"avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "popcnt", "sse4.2", "xsave"})
_AVX512 = frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512vnni"})


class NamedSet(NamedTuple):
    """A processor that others are compiled as."""

    name: str  # of LLVM
    features: frozenset[str]
    wider: frozenset[str]  # what the kernels have better loops for

    @property
    def written(self) -> str:
        """The features as numba takes them."""
        return ",".join(f"+{name}" for name in sorted(self.features))

    def runs_on(self, there: Mapping[str, bool]) -> bool:
        """Whether a processor with these features has all that the set needs."""
        return all(there.get(name) for name in self.features)

    def fits(self, there: Mapping[str, bool]) -> bool:
        """Whether a processor has all that the set needs, and nothing wider."""
        return self.runs_on(there) and not any(there.get(name) for name in self.wider)


NAMED_SETS = (
    NamedSet("x86-64-v4", _AVX2 | _AVX512, frozenset({"amx-tile"})),
    NamedSet("x86-64-v3", _AVX2, frozenset({"avx512f", "avxvnni"})),
)


def named_set_of(there: Mapping[str, bool]) -> NamedSet | None:
    """The set that a processor with these features compiles for; None: for itself."""
    return next((each for each in NAMED_SETS if each.fits(there)), None)


def runnable_sets() -> list[NamedSet]:
    """The sets that this processor can run, the widest first: an image is built with the loops of each."""
    return [each for each in NAMED_SETS if each.runs_on(llvm.get_host_cpu_features())]


_OURS = named_set_of(llvm.get_host_cpu_features())
if config.CPU_NAME is None and config.CPU_FEATURES is None and _OURS is not None:
    config.CPU_NAME, config.CPU_FEATURES = _OURS.name, _OURS.written
