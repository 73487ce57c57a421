"""The formats in which hidden values enter a product, by the type of the operand array.

float32   the values themselves
uint16    three bfloat16 numbers per value, whose sum is the value: all first parts, then all second, then all third
uint8     the value times QUANTA, rounded, plus OFFSET
int16     the value times QUANTA, rounded
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numpy.typing import NDArray

from model.inference.kernels.compiled import inlined, intrinsic, overload

QUANTA = 127  # steps of a quantised hidden value between 0 and 1
OFFSET = 128  # makes a quantised value an unsigned byte
FLOAT_PARTS = 3  # bfloat16 numbers per float32; each has 8 bits of its significand

_HALF, _UPPER, _SHIFT = np.uint32(0x8000), np.uint32(0xFFFF0000), np.uint32(16)
_f = np.float32


def bfloat16_parts(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Split values (...) into (3, ...): each value is exactly the sum of its three parts, the largest first."""
    parts = np.empty((FLOAT_PARTS, *values.shape), np.uint16)
    rest = values
    for part in parts:
        nearest = (rest.view(np.uint32) + _HALF) & _UPPER
        part[...] = nearest >> _SHIFT
        rest = rest - nearest.view(np.float32)
    return parts


@intrinsic
def _bits(_context: Any, _value: Any) -> Any:
    """The bits of a float32, as a uint32."""
    return types.uint32(types.float32), lambda _c, builder, _s, args: builder.bitcast(args[0], ir.IntType(32))


@intrinsic
def _float(_context: Any, _bits: Any) -> Any:
    """The float32 that has these bits."""
    return types.float32(types.uint32), lambda _c, builder, _s, args: builder.bitcast(args[0], ir.FloatType())


@inlined
def _nearest(value: Any) -> Any:
    return np.uint32(np.uint32(_bits(value) + _HALF) & _UPPER)


def write_operand(hidden: Any, operand: Any, place: int) -> None:
    """Write hidden[place] to operand[place], in the format of the operand, for the next product."""


@overload(write_operand)
def _compile_write_operand(hidden: Any, operand: Any, place: Any) -> Any:
    def write_floats(hidden: Any, operand: Any, place: Any) -> None:
        for j in range(hidden.shape[1]):
            operand[place, j] = hidden[place, j]

    def write_parts(hidden: Any, operand: Any, place: Any) -> None:
        for j in range(hidden.shape[1]):
            first = _nearest(hidden[place, j])
            rest = hidden[place, j] - _float(first)
            second = _nearest(rest)
            operand[place, 0, j] = first >> _SHIFT
            operand[place, 1, j] = second >> _SHIFT
            operand[place, 2, j] = _nearest(rest - _float(second)) >> _SHIFT

    def write_bytes(hidden: Any, operand: Any, place: Any) -> None:
        for j in range(hidden.shape[1]):
            operand[place, j] = np.uint8(np.int32(hidden[place, j] * _f(QUANTA) + _f(OFFSET + 0.5)))

    def write_int16s(hidden: Any, operand: Any, place: Any) -> None:
        for j in range(hidden.shape[1]):
            operand[place, j] = np.int16(np.int32(hidden[place, j] * _f(QUANTA) + _f(OFFSET + 0.5)) - OFFSET)

    writers = {
        types.float32: write_floats,
        types.uint16: write_parts,
        types.uint8: write_bytes,
        types.int16: write_int16s,
    }
    return writers[operand.dtype]
