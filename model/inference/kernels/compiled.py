"""Compilation of the kernels' loops with numba: cached on disk, and run without the GIL."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba import extending, types

import model.processor  # noqa: F401 - before anything is compiled

_Function = TypeVar("_Function", bound=Callable[..., Any])

_SOURCES = sha256(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))).digest()

_OPTIONS: dict[str, Any] = {"fastmath": {"reassoc", "contract", "nsz"}, "error_model": "numpy"}

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
    own = Path(function.__code__.co_filename).read_bytes()
    dispatcher._cache._cache_file._source_stamp = sha256(_SOURCES + own).hexdigest()
    return cast(_Function, dispatcher)


@intrinsic
def use_widest_vectors(_context: Any) -> Any:
    """Use the widest registers in the loops of the calling function; by default LLVM uses 256 of 512 bits."""

    def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        for attribute in ("prefer-vector-width", "min-legal-vector-width"):
            set.add(builder.function.attributes, f'"{attribute}"="512"')  # llvmlite's own `add` rejects these names
        return context.get_dummy_value()

    return types.void(), generate
