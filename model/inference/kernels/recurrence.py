"""The word LSTM's weights in the precision and layout of its compiled pass.

In int8, recurrent weights are integers of -127..127 times a scale per column, hidden values are multiples of 1/127, and
their products are exact in 32 bits. The table holds 16-bit integers times a scale per column; in float32 it does so
where it has more than MAX_FLOAT_ROWS rows, since a row of floats takes eight times the memory of its vector in the
checkpoint. Cells, pools, readouts and the stream LSTM stay float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from model.config import NUM_GATES
from model.inference.kernels.instruction_sets import HAS_VNNI, LANES
from model.inference.kernels.operands import OFFSET, QUANTA
from model.inference.kernels.products import FLOATS, operand_shape, pack, zeros
from model.inference.state import FloatArray

CpuPrecision = Literal["float32", "int8"]
CPU_PRECISIONS: tuple[CpuPrecision, ...] = ("float32", "int8")

_MAX_INT8, _MAX_INT16 = 127, 32767
MAX_FLOAT_ROWS = 40_000
_ROWS_AT_ONCE = 256  # of the table, while it is computed


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The table (V, 4, H) of what each vocabulary row adds to the gates, computed some rows at a time to save memory.

    embedding (V, E) in float16 or float32, weights (E, 4H), bias (4H,); V: vocabulary rows, E: embedding size.
    """

    embedding: NDArray[np.floating[Any]]
    weights: FloatArray
    bias: FloatArray

    def rows(self) -> Iterator[tuple[slice, FloatArray]]:
        """Slices of the table and their rows. The array of rows is reused for the next ones."""
        block = np.empty((_ROWS_AT_ONCE, len(self.bias)), np.float32)
        for begin in range(0, len(self.embedding), _ROWS_AT_ONCE):
            embedded = self.embedding[begin : begin + _ROWS_AT_ONCE].astype(np.float32)
            added = np.dot(embedded, self.weights, out=block[: len(embedded)])
            added += self.bias
            yield slice(begin, begin + len(embedded)), added.reshape(len(added), NUM_GATES, -1)

    def empty(self, kind: type[np.generic]) -> NDArray[Any]:
        """An uninitialised array for the whole table."""
        return np.empty((len(self.embedding), NUM_GATES, len(self.bias) // NUM_GATES), kind)

    def as_floats(self) -> FloatArray:
        """The whole table."""
        table: FloatArray = self.empty(np.float32)
        for rows, added in self.rows():
            table[rows] = added
        return table

    def as_integers(self) -> tuple[NDArray[np.int16], FloatArray]:
        """The whole table as integers, and the scale (4, H) to multiply them by."""
        largest = np.max([np.abs(added).max(axis=0) for _, added in self.rows()], axis=0)
        scale = _scale(largest, _MAX_INT16)
        table: NDArray[np.int16] = self.empty(np.int16)
        for rows, added in self.rows():
            table[rows] = np.rint(np.divide(added, scale, out=added), out=added)
        return table, scale


@dataclass(frozen=True, slots=True, eq=False)
class Recurrence:
    """The table (V, 4, H) of what tokens add to the gates, and the packed recurrent weights."""

    table: NDArray[Any]
    table_scale: FloatArray  # (4, H) for an integer table, else empty
    packed: NDArray[Any]
    packed_scale: FloatArray  # (4, cells) for integer weights, else empty
    start: NDArray[Any]  # (4, cells): the initial value of the sums
    operand_type: np.dtype[Any]  # see `operands.py`

    @classmethod
    def of(cls, weights: FloatArray, table: Table, precision: CpuPrecision) -> Self:
        """The recurrence with recurrent weights (H, 4H) in this precision."""
        if precision == "float32":
            packed, none = pack(weights, FLOATS), np.empty((0, 0), np.float32)
            is_large = len(table.embedding) > MAX_FLOAT_ROWS
            rows, row_scale = table.as_integers() if is_large else (table.as_floats(), none)
            return cls(rows, row_scale, packed, none, np.zeros(padded_shape(packed), np.float32), FLOATS)
        operand: np.dtype[Any] = np.dtype(np.uint8 if HAS_VNNI else np.int16)
        scale = _scale(np.abs(weights).max(axis=0), _MAX_INT8)
        whole = np.rint(weights / scale).astype(np.int8 if HAS_VNNI else np.int16)
        packed = pack(whole, operand)
        start = np.zeros(padded_shape(packed), np.int32)
        if HAS_VNNI:  # compensates for the OFFSET of the operand's bytes
            start -= OFFSET * _padded(whole.sum(axis=0, dtype=np.int32), start.shape)
        packed_scale = _padded((scale / QUANTA).astype(np.float32), start.shape)
        whole_table, table_scale = table.as_integers()
        return cls(whole_table, table_scale, packed, packed_scale, start, operand)

    @property
    def tensors(self) -> tuple[NDArray[Any], FloatArray, NDArray[Any], FloatArray, NDArray[Any]]:
        """The arguments of the compiled pass, in order."""
        return self.table, self.table_scale, self.packed, self.packed_scale, self.start

    def operand(self, hidden: FloatArray) -> NDArray[Any]:
        """The array (rows, *operand_shape) for the operand of the product: `hidden` itself if the type is the same."""
        if hidden.dtype == self.operand_type:
            return hidden
        return zeros((len(hidden), *operand_shape(self.packed, self.operand_type)), self.operand_type)


def padded_shape(packed: NDArray[Any]) -> tuple[int, int]:
    """The shape (4, cells) of the sums of a row, for packed weights."""
    return NUM_GATES, len(packed) * LANES


def _scale(highest: FloatArray, largest: int) -> FloatArray:
    """The scale of each column that maps its highest weight to the largest integer."""
    return np.where(highest > 0, highest, largest).astype(np.float32) / np.float32(largest)


def _padded(columns: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Pad (4H,) with zeros to (4, cells)."""
    whole = np.zeros(shape, columns.dtype)
    gates = columns.reshape(NUM_GATES, -1)
    whole[:, : gates.shape[1]] = gates
    return whole
