"""What a product reads in place of hidden values, and how a row of them is written there.

float32   the values themselves
uint16    bfloat16 numbers, three for each value, whose sum it is: first parts, then second, then third ones
uint8     QUANTA of a value, OFFSET added
int16     QUANTA of a value
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numpy.typing import NDArray

from model.inference.kernels.compiled import inlined, intrinsic, overload

QUANTA = 127  # of a hidden value between 0 and 1, where it is kept as a whole number
OFFSET = 128  # of such a number in an unsigned byte
FLOAT_PARTS = 3  # of eight bits of the fraction each

_HALF, _UPPER, _SHIFT = np.uint32(0x8000), np.uint32(0xFFFF0000), np.uint32(16)
_f = np.float32


def bfloat16_parts(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """(...) -> (3, ...): each value is exactly the sum of its three, the first the nearest to it."""
    parts = np.empty((FLOAT_PARTS, *values.shape), np.uint16)
    rest = values
    for part in parts:
        nearest = (rest.view(np.uint32) + _HALF) & _UPPER
        part[...] = nearest >> _SHIFT
        rest = rest - nearest.view(np.float32)
    return parts


@intrinsic
def _bits(_context: Any, _value: Any) -> Any:
    """Of a float32, as a uint32."""
    return types.uint32(types.float32), lambda _c, builder, _s, args: builder.bitcast(args[0], ir.IntType(32))


@intrinsic
def _float(_context: Any, _bits: Any) -> Any:
    """The float32 of these bits."""
    return types.float32(types.uint32), lambda _c, builder, _s, args: builder.bitcast(args[0], ir.FloatType())


@inlined
def _nearest(value: Any) -> Any:
    return np.uint32(np.uint32(_bits(value) + _HALF) & _UPPER)


def keep_operand(hidden: Any, operand: Any, place: int) -> None:
    """Write the values of hidden[place] to operand[place], which the next product reads."""


@overload(keep_operand)
def _compile_keep_operand(hidden: Any, operand: Any, place: Any) -> Any:
    def keep_floats(hidden: Any, operand: Any, place: Any) -> None:
        for j in range(hidden.shape[1]):
            operand[place, j] = hidden[place, j]

    def keep_parts(hidden: Any, operand: Any, place: Any) -> None:
        for j in range(hidden.shape[1]):
            first = _nearest(hidden[place, j])
            rest = hidden[place, j] - _float(first)
            second = _nearest(rest)
            operand[place, 0, j] = first >> _SHIFT
            operand[place, 1, j] = second >> _SHIFT
            operand[place, 2, j] = _nearest(rest - _float(second)) >> _SHIFT

    def keep_bytes(hidden: Any, operand: Any, place: Any) -> None:
        for j in range(hidden.shape[1]):
            operand[place, j] = np.uint8(np.int32(hidden[place, j] * _f(QUANTA) + _f(OFFSET + 0.5)))

    def keep_words(hidden: Any, operand: Any, place: Any) -> None:
        for j in range(hidden.shape[1]):
            operand[place, j] = np.int16(np.int32(hidden[place, j] * _f(QUANTA) + _f(OFFSET + 0.5)) - OFFSET)

    kinds = {types.float32: keep_floats, types.uint16: keep_parts, types.uint8: keep_bytes, types.int16: keep_words}
    return kinds[operand.dtype]
