"""Matrix products with weights that are packed once.

The result of a row does not depend on the other rows: its sums run in the same order in every batch, so a text gives
the same bits alone and in any batch.
"""

# ruff: noqa: PLR0913, PLR0917 - compiled loops take plain arrays

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from model.config import NUM_GATES
from model.inference.kernels.compiled import compiled, overload
from model.inference.kernels.instruction_sets import BLOCK, LANES, Block
from model.inference.kernels.operands import FLOAT_PARTS, bfloat16_parts
from model.inference.kernels.registers import CACHE_LINE_BYTES, INPUTS_A_STEP, product_of_rows
from model.inference.kernels.tiles import (
    HAS_TILES,
    ROW_BYTES,
    TILE_ROWS,
    TILE_SHAPES,
    configure_tiles,
    release_tiles,
    tile_product,
)

_rows_1, _rows_2, _rows_3, _rows_4, _rows_5, _rows_6 = (
    product_of_rows(min(rows, BLOCK.rows), 1, BLOCK) for rows in range(1, 7)
)
_UNITS_1, _UNITS_2 = map(BLOCK.units_of, (1, 2))
_wide_1, _wide_2 = product_of_rows(1, _UNITS_1, BLOCK), product_of_rows(2, _UNITS_2, BLOCK)
_ROWS = BLOCK.rows

_tile_of_bytes, _tile_of_two_parts, _tile_of_three_parts = (tile_product(parts) for parts in (1, 2, FLOAT_PARTS))

FLOATS: np.dtype[Any] = np.dtype(np.uint16 if HAS_TILES else np.float32)
"""The type of operand for products of float32 accuracy."""


def pack(weights: NDArray[Any], operand: np.dtype[Any], block: Block = BLOCK) -> NDArray[Any]:
    """Pack weights (H, 4H) for `multiply` with this type of operand.

    The result is (blocks, units, inputs / step, gates, LANES, step), with the gates of the block in a unit; for tiles,
    (blocks, steps, 4, parts, 16, inputs of a lane).
    Inputs are padded with zeros to whole steps, and cells to whole blocks.
    """
    if operand == np.uint16:
        parts = bfloat16_parts(weights)
        return _pack_tiles(parts if parts[-1].any() else parts[:-1])
    if operand == np.uint8 and HAS_TILES:
        return _pack_tiles(weights[None])
    step = INPUTS_A_STEP[operand]
    whole = _pad_to_blocks(weights[None], step)[0]
    inputs, _, cells = whole.shape
    shape = inputs // step, step, NUM_GATES // block.gates, block.gates, cells // LANES, LANES
    return _aligned(whole.reshape(shape).transpose(4, 2, 0, 3, 5, 1))


def _pack_tiles(parts: NDArray[Any]) -> NDArray[Any]:
    """Pack (parts, H, 4H) for tiles; the parts of a weight add up to it."""
    in_lane = 4 // parts.itemsize
    whole = _pad_to_blocks(parts, ROW_BYTES // parts.itemsize)
    num_parts, inputs, _, cells = whole.shape
    split = whole.reshape(
        num_parts, inputs // (TILE_ROWS * in_lane), TILE_ROWS, in_lane, NUM_GATES, cells // LANES, LANES
    ).transpose(5, 1, 4, 0, 2, 6, 3)
    return _aligned(split.reshape(*split.shape[:-2], LANES * in_lane))


def _pad_to_blocks(parts: NDArray[Any], inputs_multiple: int) -> NDArray[Any]:
    """Pad (parts, H, 4H) with zeros to (parts, inputs, 4, cells)."""
    num_parts, num_inputs, columns = parts.shape
    size = columns // NUM_GATES
    shape = num_parts, rounded_up(num_inputs, inputs_multiple), NUM_GATES, rounded_up(size, LANES)
    whole = np.zeros(shape, parts.dtype)
    whole[:, :num_inputs, :, :size] = parts.reshape(num_parts, num_inputs, NUM_GATES, size)
    return whole


def operand_shape(packed: NDArray[Any], operand: np.dtype[Any]) -> tuple[int, ...]:
    """The shape of one row of the operand for these packed weights."""
    if operand == np.uint16:
        return FLOAT_PARTS, packed.shape[1] * ROW_BYTES // operand.itemsize
    if operand == np.uint8 and HAS_TILES:
        return (packed.shape[1] * ROW_BYTES,)
    return (packed.shape[2] * INPUTS_A_STEP[operand],)


def zeros(shape: tuple[int, ...], kind: np.dtype[Any]) -> NDArray[Any]:
    """Zeros aligned to a cache line: a row of a tile that crosses two lines takes twice as long to load."""
    num_bytes = prod(shape) * kind.itemsize
    raw = np.zeros(num_bytes + CACHE_LINE_BYTES, np.uint8)
    begin = -raw.ctypes.data % CACHE_LINE_BYTES
    return raw[begin : begin + num_bytes].view(kind).reshape(shape)


def _aligned(values: NDArray[Any]) -> NDArray[Any]:
    """A contiguous copy that is aligned to a cache line."""
    copy = zeros(values.shape, values.dtype)
    copy[...] = values
    return copy


def rounded_up(size: int, multiple: int) -> int:
    """`size` rounded up to a `multiple`."""
    return -(-size // multiple) * multiple


def multiply(operand: Any, first: int, num_rows: int, packed: Any, start: Any, out: Any) -> None:
    """out[:num_rows] = start + operand[first:][:num_rows] @ packed weights. For use in compiled loops.

    operand (rows, *operand_shape); start (4, cells); out (num_rows or more, 4, cells).
    """


@overload(multiply)
def _compile_multiply(operand: Any, first: Any, num_rows: Any, packed: Any, start: Any, out: Any) -> Any:
    def multiply_rows(operand: Any, first: Any, num_rows: Any, packed: Any, start: Any, out: Any) -> Any:
        _by_rows(operand, first, num_rows, packed, start, out)

    def multiply_tiles(operand: Any, first: Any, num_rows: Any, packed: Any, start: Any, out: Any) -> Any:
        whole = num_rows - num_rows % TILE_ROWS
        if whole:
            _by_tiles(operand, first, 0, whole, TILE_ROWS, packed, start, out)
        if whole < num_rows:
            _by_tiles(operand, first, whole, num_rows, num_rows - whole, packed, start, out)

    return multiply_tiles if HAS_TILES and operand.dtype in (types.uint8, types.uint16) else multiply_rows


@compiled
def _by_tiles(
    operand: Any, first: int, begin: int, end: int, rows_of_tile: int, packed: Any, start: Any, out: Any
) -> None:
    configure_tiles(TILE_SHAPES[rows_of_tile])
    for block in range(packed.shape[0]):
        for row in range(begin, end, rows_of_tile):
            if packed.shape[3] == 1:
                _tile_of_bytes(operand, first + row, packed, block, start, out, row)
            elif packed.shape[3] == 2:
                _tile_of_two_parts(operand, first + row, packed, block, start, out, row)
            else:
                _tile_of_three_parts(operand, first + row, packed, block, start, out, row)
    release_tiles()


@compiled
def _by_rows(operand: Any, first: int, num_rows: int, packed: Any, start: Any, out: Any) -> None:
    num_units = packed.shape[0] * packed.shape[1]
    for unit in range(_few_rows(operand, first, num_rows, packed, start, out), num_units):
        row = 0
        while row + _ROWS <= num_rows:
            _rows_6(operand, first + row, packed, unit, start, out, row)
            row += _ROWS
        left = num_rows - row
        if left == 1:
            _rows_1(operand, first + row, packed, unit, start, out, row)
        elif left == 2:
            _rows_2(operand, first + row, packed, unit, start, out, row)
        elif left == 3:
            _rows_3(operand, first + row, packed, unit, start, out, row)
        elif left == 4:
            _rows_4(operand, first + row, packed, unit, start, out, row)
        elif left == 5:
            _rows_5(operand, first + row, packed, unit, start, out, row)


@compiled
def _few_rows(operand: Any, first: int, num_rows: int, packed: Any, start: Any, out: Any) -> int:
    """Multiply one or two rows with several units at once, and return the number of units that are done."""
    num_units = packed.shape[0] * packed.shape[1]
    unit = 0
    if num_rows == 1 and _UNITS_1 > 1:
        while unit + _UNITS_1 <= num_units:
            _wide_1(operand, first, packed, unit, start, out, 0)
            unit += _UNITS_1
    elif num_rows == 2 and _UNITS_2 > 1:
        while unit + _UNITS_2 <= num_units:
            _wide_2(operand, first, packed, unit, start, out, 0)
            unit += _UNITS_2
    return unit


class AffineMap:
    """x (n, inputs) -> x @ weights + bias (n, outputs), in float32 with packed weights."""

    def __init__(self, weights: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
        num_inputs, self._num_outputs = weights.shape
        columns = np.zeros((num_inputs, rounded_up(self._num_outputs, NUM_GATES)), np.float32)
        columns[:, : self._num_outputs] = weights
        self._packed = pack(columns, np.dtype(np.float32))
        self._size = columns.shape[1] // NUM_GATES  # the columns take the places of four gates
        self._start = np.zeros((NUM_GATES, len(self._packed) * LANES), np.float32)
        self._start[:, : self._size].flat[: self._num_outputs] = bias

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """The map of x (n, inputs), which has to be contiguous."""
        out: NDArray[np.float32] = _multiplied(x, self._packed, self._start)
        return out[:, :, : self._size].reshape(len(x), NUM_GATES * self._size)[:, : self._num_outputs]


@compiled
def _multiplied(x: Any, packed: Any, start: Any) -> Any:
    out = np.empty((x.shape[0], *start.shape), start.dtype)
    _by_rows(x, 0, x.shape[0], packed, start, out)
    return out


@compiled
def affine(x: Any, weights: Any, bias: Any) -> Any:
    """x (n, inputs) @ weights (inputs, outputs) + bias (outputs,), one row at a time. For few outputs."""
    out = np.empty((x.shape[0], weights.shape[1]), weights.dtype)
    for row in range(x.shape[0]):
        out[row] = bias
        for k in range(x.shape[1]):
            for j in range(weights.shape[1]):
                out[row, j] += x[row, k] * weights[k, j]
    return out
