"""Matrix products whose weights are arranged once, row by row the same whatever rows stand beside it.

The sum of a row runs in the same order in every batch, so that a text gives the same bits alone and among others.
"""

# ruff: noqa: PLR0913, PLR0917 - compiled loops take plain arrays

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from model.config import NUM_GATES
from model.kernels.compiled import compiled, overload
from model.kernels.registers import INPUTS_A_STEP, LANES, ROWS, product_of_rows
from model.kernels.tiles import (
    HAS_TILES,
    TILE_INPUTS,
    TILE_ROWS,
    TILE_SHAPES,
    configure_tiles,
    multiply_tile,
    release_tiles,
)

_rows_1, _rows_2, _rows_3 = product_of_rows(1), product_of_rows(2), product_of_rows(3)
_rows_4, _rows_5, _rows_6 = (product_of_rows(min(rows, ROWS)) for rows in (4, 5, 6))

SPARE_ROWS = TILE_ROWS if HAS_TILES else 1
"""Operands and results have a multiple of so many rows, whatever is in those behind the last."""


def pack(weights: NDArray[Any], operand: np.dtype[Any]) -> NDArray[Any]:
    """(H, 4H) -> (blocks, inputs / step, 4, LANES, step), as `multiply` wants it for this type of operand.

    Inputs are filled up with zeros to whole steps or tiles, cells to whole blocks.
    """
    step = INPUTS_A_STEP[operand]
    num_inputs, size = len(weights), weights.shape[1] // NUM_GATES
    inputs = filled(num_inputs, TILE_INPUTS if HAS_TILES and operand == np.uint8 else step)
    cells = filled(size, LANES)
    whole = np.zeros((inputs, NUM_GATES, cells), weights.dtype)
    whole[:num_inputs, :, :size] = weights.reshape(num_inputs, NUM_GATES, size)
    parts = whole.reshape(inputs // step, step, NUM_GATES, cells // LANES, LANES)
    return np.ascontiguousarray(parts.transpose(3, 0, 2, 4, 1))


def filled(size: int, multiple: int) -> int:
    """`size` rounded up to a `multiple`."""
    return -(-size // multiple) * multiple


def multiply(operand: Any, first: int, num_rows: int, packed: Any, start: Any, out: Any) -> None:
    """out[:num_rows] = start + operand[first:][:num_rows] @ the packed weights; called in compiled loops.

    operand (rows, inputs), inputs filled up as the weights are, and rows behind the last to a multiple of SPARE_ROWS;
    start (4, cells); out (num_rows or more, to a multiple of SPARE_ROWS, 4, cells).
    """


@overload(multiply)
def _compile_multiply(operand: Any, first: Any, num_rows: Any, packed: Any, start: Any, out: Any) -> Any:
    by_tiles = HAS_TILES and operand.dtype == types.uint8

    def multiply(operand: Any, first: Any, num_rows: Any, packed: Any, start: Any, out: Any) -> Any:
        _by_rows(operand, first, num_rows, packed, start, out)

    def multiply_in_tiles(operand: Any, first: Any, num_rows: Any, packed: Any, start: Any, out: Any) -> Any:
        _by_tiles(operand, first, num_rows, packed, start, out)

    return multiply_in_tiles if by_tiles else multiply


@compiled
def _by_tiles(operand: Any, first: int, num_rows: int, packed: Any, start: Any, out: Any) -> None:
    configure_tiles(TILE_SHAPES)
    for block in range(packed.shape[0]):
        for row in range(0, num_rows, TILE_ROWS):
            multiply_tile(operand, first + row, packed, block, start, out, row)
    release_tiles()


@compiled
def _by_rows(operand: Any, first: int, num_rows: int, packed: Any, start: Any, out: Any) -> None:
    for block in range(packed.shape[0]):
        row = 0
        while row + ROWS <= num_rows:
            _rows_6(operand, first + row, packed, block, start, out, row)
            row += ROWS
        left = num_rows - row
        if left == 1:
            _rows_1(operand, first + row, packed, block, start, out, row)
        elif left == 2:
            _rows_2(operand, first + row, packed, block, start, out, row)
        elif left == 3:
            _rows_3(operand, first + row, packed, block, start, out, row)
        elif left == 4:
            _rows_4(operand, first + row, packed, block, start, out, row)
        elif left == 5:
            _rows_5(operand, first + row, packed, block, start, out, row)


class AffineMap:
    """(n, inputs) -> (n, outputs) = x @ weights + bias in float32, its weights arranged once."""

    def __init__(self, weights: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
        num_inputs, self._num_outputs = weights.shape
        filled_up = np.zeros((num_inputs, filled(self._num_outputs, NUM_GATES)), np.float32)
        filled_up[:, : self._num_outputs] = weights
        self._packed = pack(filled_up, np.dtype(np.float32))
        self._size = filled_up.shape[1] // NUM_GATES  # columns are dealt out to the places of the four gates
        self._start = np.zeros((NUM_GATES, len(self._packed) * LANES), np.float32)
        self._start[:, : self._size].flat[: self._num_outputs] = bias

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """x: contiguous."""
        out: NDArray[np.float32] = _multiplied(x, self._packed, self._start)
        return out[:, :, : self._size].reshape(len(x), NUM_GATES * self._size)[:, : self._num_outputs]


@compiled
def _multiplied(x: Any, packed: Any, start: Any) -> Any:
    out = np.empty((x.shape[0], *start.shape), start.dtype)
    _by_rows(x, 0, x.shape[0], packed, start, out)
    return out


@compiled
def affine(x: Any, weights: Any, bias: Any) -> Any:
    """(n, inputs) @ (inputs, outputs) + (outputs,), each row by itself: for few outputs."""
    out = np.empty((x.shape[0], weights.shape[1]), weights.dtype)
    for row in range(x.shape[0]):
        out[row] = bias
        for k in range(x.shape[1]):
            for j in range(weights.shape[1]):
                out[row, j] += x[row, k] * weights[k, j]
    return out
