"""The word LSTM's weights as its compiled pass takes them, in the precision asked for.

int8: recurrent weights in whole numbers of -127..127 times a scale for each column, hidden values in 127ths, products
exact in 32 bits; the table in whole numbers of 16 bits times a scale for each column. Cells, pools, readouts and what a
stream carries stay float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from model.config import NUM_GATES
from model.inference.kernels.operands import OFFSET, QUANTA
from model.inference.kernels.products import FLOATS, operand_shape, pack, zeros
from model.inference.kernels.registers import HAS_VNNI, LANES
from model.inference.state import FloatArray

CpuPrecision = Literal["float32", "int8"]
CPU_PRECISIONS: tuple[CpuPrecision, ...] = ("float32", "int8")

_MAX_INT8, _MAX_INT16 = 127, 32767
_ROWS_AT_ONCE = 256  # of the table, while it is made


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """What each token adds to the gates, (V, 4, H): made some rows at a time, so that little memory is in use at once.

    embedding (V, E), weights (E, 4H), bias (4H,).
    """

    embedding: FloatArray
    weights: FloatArray
    bias: FloatArray

    def rows(self) -> Iterator[tuple[slice, FloatArray]]:
        """Which rows, and they, in an array that is used again for the next ones."""
        block = np.empty((_ROWS_AT_ONCE, len(self.bias)), np.float32)
        for begin in range(0, len(self.embedding), _ROWS_AT_ONCE):
            embedded = self.embedding[begin : begin + _ROWS_AT_ONCE]
            added = np.dot(embedded, self.weights, out=block[: len(embedded)])
            added += self.bias
            yield slice(begin, begin + len(embedded)), added.reshape(len(added), NUM_GATES, -1)

    def empty(self, kind: type[np.generic]) -> NDArray[Any]:
        """An array for all of it."""
        return np.empty((len(self.embedding), NUM_GATES, len(self.bias) // NUM_GATES), kind)

    def as_floats(self) -> FloatArray:
        """All of it."""
        table: FloatArray = self.empty(np.float32)
        for rows, added in self.rows():
            table[rows] = added
        return table

    def as_whole_numbers(self) -> tuple[NDArray[np.int16], FloatArray]:
        """All of it in whole numbers, and the scale (4, H) that they are multiples of."""
        largest = np.max([np.abs(added).max(axis=0) for _, added in self.rows()], axis=0)
        scale = _scale(largest, _MAX_INT16)
        table: NDArray[np.int16] = self.empty(np.int16)
        for rows, added in self.rows():
            table[rows] = np.rint(np.divide(added, scale, out=added), out=added)
        return table, scale


@dataclass(frozen=True, slots=True, eq=False)
class Recurrence:
    """A table (V, 4, H) of what tokens add to the gates, and the weights of what the hidden state does."""

    table: NDArray[Any]
    table_scale: FloatArray  # (4, H) where the table is of whole numbers
    packed: NDArray[Any]
    packed_scale: FloatArray  # (4, cells), likewise
    start: NDArray[Any]  # (4, cells): where the sums begin
    operand_type: np.dtype[Any]  # see `operands.py`

    @classmethod
    def of(cls, weights: FloatArray, table: Table, precision: CpuPrecision) -> Self:
        """weights (H, 4H) of the hidden state."""
        if precision == "float32":
            packed, none = pack(weights, FLOATS), np.empty((0, 0), np.float32)
            return cls(table.as_floats(), none, packed, none, np.zeros(padded_shape(packed), np.float32), FLOATS)
        operand: np.dtype[Any] = np.dtype(np.uint8 if HAS_VNNI else np.int16)
        scale = _scale(np.abs(weights).max(axis=0), _MAX_INT8)
        whole = np.rint(weights / scale).astype(np.int8 if HAS_VNNI else np.int16)
        packed = pack(whole, operand)
        start = np.zeros(padded_shape(packed), np.int32)
        if HAS_VNNI:  # the bytes of the operand are OFFSET too large
            start -= OFFSET * _padded(whole.sum(axis=0, dtype=np.int32), start.shape)
        packed_scale = _padded((scale / QUANTA).astype(np.float32), start.shape)
        whole_table, table_scale = table.as_whole_numbers()
        return cls(whole_table, table_scale, packed, packed_scale, start, operand)

    @property
    def tensors(self) -> tuple[NDArray[Any], FloatArray, NDArray[Any], FloatArray, NDArray[Any]]:
        """In the order that the compiled pass takes them."""
        return self.table, self.table_scale, self.packed, self.packed_scale, self.start

    def operand(self, hidden: FloatArray) -> NDArray[Any]:
        """(rows, *operand_shape) for the pass to keep what it multiplies: hidden values themselves, or made of them."""
        if hidden.dtype == self.operand_type:
            return hidden
        return zeros((len(hidden), *operand_shape(self.packed, self.operand_type)), self.operand_type)


def padded_shape(packed: NDArray[Any]) -> tuple[int, int]:
    """(4, cells) of packed weights."""
    return NUM_GATES, len(packed) * LANES


def _scale(highest: FloatArray, largest: int) -> FloatArray:
    """Of each column, so that its highest weight is the largest whole number."""
    return np.where(highest > 0, highest, largest).astype(np.float32) / np.float32(largest)


def _padded(columns: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """(4H,) -> (4, cells)."""
    whole = np.zeros(shape, columns.dtype)
    gates = columns.reshape(NUM_GATES, -1)
    whole[:, : gates.shape[1]] = gates
    return whole
