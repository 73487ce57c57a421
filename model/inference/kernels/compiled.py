"""Compilation of the kernels' loops with numba: cached on disk, and run without the GIL.

Processors with AVX2 and nothing wider compile for one named set, x86-64-v3: what one of them has compiled, as when an
image is built, serves all of them. NUMBA_CPU_NAME and NUMBA_CPU_FEATURES choose another one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

import llvmlite.binding as llvm
import numba
from numba import extending, types
from numba.core import config

_Function = TypeVar("_Function", bound=Callable[..., Any])

_SOURCES = sha256(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))).hexdigest()

_OPTIONS: dict[str, Any] = {"fastmath": {"reassoc", "contract", "nsz"}, "error_model": "numpy"}

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


intrinsic = cast(Callable[[Callable[..., Any]], Callable[..., Any]], extending.intrinsic)
"""Decorates a function that generates its own LLVM instructions."""


def unpacked(context: Any, builder: Any, signature: Any, arguments: Any) -> tuple[list[Any], list[Any]]:
    """The arguments of an intrinsic: the arrays, as its instructions access them, and the others."""
    arrays, others = [], []
    for kind, argument in zip(signature.args, arguments, strict=True):
        if isinstance(kind, types.Array):
            arrays.append(context.make_array(kind)(context, builder, argument))
        else:
            others.append(argument)
    return arrays, others


def overload(function: Callable[..., Any], **options: Any) -> Callable[[_Function], _Function]:
    """Compile calls of `function` as the function that the decorated one returns for the types of the arguments."""
    return cast(Callable[[_Function], _Function], extending.overload(function, **options))


def inlined(function: _Function) -> _Function:
    """Compile into the loop that calls it: a loop with a call in it is not vectorised."""
    return cast(_Function, numba.njit(inline="always", **_OPTIONS)(function))


def compiled(function: _Function) -> _Function:
    """Compile on the first call. Sums may be reordered, so that they can be vectorised; NaN stays NaN."""
    dispatcher = numba.njit(cache=True, nogil=True, **_OPTIONS)(function)
    # numba invalidates a cached function only when its own file changes. The compiled code also contains functions of
    # the other files, so a change in any of them has to invalidate it.
    dispatcher._cache._cache_file._source_stamp = _SOURCES
    return cast(_Function, dispatcher)


@intrinsic
def use_widest_vectors(_context: Any) -> Any:
    """Use the widest registers in the loops of the calling function; by default LLVM uses 256 of 512 bits."""

    def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        for attribute in ("prefer-vector-width", "min-legal-vector-width"):
            set.add(builder.function.attributes, f'"{attribute}"="512"')  # llvmlite's own `add` rejects these names
        return context.get_dummy_value()

    return types.void(), generate
