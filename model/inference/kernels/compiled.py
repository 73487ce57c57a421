"""How the loops of the kernels are compiled: by numba, cached on disk, without the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba import extending, types

_Function = TypeVar("_Function", bound=Callable[..., Any])

_SOURCES = sha256(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))).hexdigest()

_OPTIONS: dict[str, Any] = {"fastmath": {"reassoc", "contract", "nsz"}, "error_model": "numpy"}

intrinsic = cast(Callable[[Callable[..., Any]], Callable[..., Any]], extending.intrinsic)
"""A function whose instructions are written by itself."""


def unpacked(context: Any, builder: Any, signature: Any, arguments: Any) -> tuple[list[Any], list[Any]]:
    """The arrays among the arguments of an intrinsic, as its instructions reach them, and the other arguments."""
    arrays, others = [], []
    for kind, argument in zip(signature.args, arguments, strict=True):
        if isinstance(kind, types.Array):
            arrays.append(context.make_array(kind)(context, builder, argument))
        else:
            others.append(argument)
    return arrays, others


def overload(function: Callable[..., Any], **options: Any) -> Callable[[_Function], _Function]:
    """Compile `function` as what the decorated one returns for the types of its arguments."""
    return cast(Callable[[_Function], _Function], extending.overload(function, **options))


def inlined(function: _Function) -> _Function:
    """Compile as part of the loop that calls it: a call in a loop keeps it out of the vector registers."""
    return cast(_Function, numba.njit(inline="always", **_OPTIONS)(function))


def compiled(function: _Function) -> _Function:
    """Compile on the first call. Sums may be reordered, so that they run in vector registers; NaN stays NaN."""
    dispatcher = numba.njit(cache=True, nogil=True, **_OPTIONS)(function)
    # numba takes a function from its cache as long as the file of that function is the same; but it holds what it
    # calls from other files, too, so that all of them have to be the same
    dispatcher._cache._cache_file._source_stamp = _SOURCES
    return cast(_Function, dispatcher)


@intrinsic
def use_widest_vectors(_context: Any) -> Any:
    """Have the loops of the calling function run in the widest registers: LLVM else takes half of 512 bits."""

    def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        for attribute in ("prefer-vector-width", "min-legal-vector-width"):
            set.add(builder.function.attributes, f'"{attribute}"="512"')  # llvmlite's own `add` knows no such names
        return context.get_dummy_value()

    return types.void(), generate
