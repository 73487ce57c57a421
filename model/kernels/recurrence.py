"""The word LSTM's weights as its compiled pass takes them, in the precision asked for.

int8: recurrent weights in whole numbers of -127..127 times a scale for each column, hidden values in 127ths, products
exact in 32 bits; the table in whole numbers of 16 bits times a scale for each column. Cells, pools, readouts and what a
stream carries stay float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from model.config import NUM_GATES
from model.kernels.gates import OFFSET, QUANTA
from model.kernels.products import SPARE_ROWS, filled, pack
from model.kernels.registers import HAS_VNNI, LANES
from model.state import FloatArray

Precision = Literal["float32", "int8"]
PRECISIONS: tuple[Precision, ...] = ("float32", "int8")

_MAX_INT8, _MAX_INT16 = 127, 32767


@dataclass(frozen=True, slots=True, eq=False)
class Recurrence:
    """A table (V, 4, H) of what tokens add to the gates, and the weights of what the hidden state does."""

    table: NDArray[Any]
    table_scale: FloatArray  # (4, H) where the table is of whole numbers
    packed: NDArray[Any]
    packed_scale: FloatArray  # (4, cells), likewise
    start: NDArray[Any]  # (4, cells): where the sums begin
    operand_type: np.dtype[Any]

    @classmethod
    def of(cls, weights: FloatArray, table: FloatArray, precision: Precision) -> Self:
        """weights (H, 4H), table (V, 4H)."""
        table = table.reshape(len(table), NUM_GATES, -1)
        operand: np.dtype[Any] = np.dtype(np.float32)
        if precision == "float32":
            packed, none = pack(weights, operand), np.empty((0, 0), np.float32)
            return cls(table, none, packed, none, np.zeros(padded_shape(packed), np.float32), operand)
        operand = np.dtype(np.uint8 if HAS_VNNI else np.int16)
        scale = _scale(weights, _MAX_INT8)
        whole = np.rint(weights / scale).astype(np.int8 if HAS_VNNI else np.int16)
        packed = pack(whole, operand)
        start = np.zeros(padded_shape(packed), np.int32)
        if HAS_VNNI:  # the bytes of the operand are OFFSET too large
            start -= OFFSET * _padded(whole.sum(axis=0, dtype=np.int32), start.shape)
        table_scale = _scale(table, _MAX_INT16)
        table = np.rint(table / table_scale).astype(np.int16)
        packed_scale = _padded((scale / QUANTA).astype(np.float32), start.shape)
        return cls(table, table_scale, packed, packed_scale, start, operand)

    @property
    def tensors(self) -> tuple[NDArray[Any], FloatArray, NDArray[Any], FloatArray, NDArray[Any]]:
        """In the order that the compiled pass takes them."""
        return self.table, self.table_scale, self.packed, self.packed_scale, self.start

    def operand(self, hidden: FloatArray) -> NDArray[Any]:
        """(rows, inputs) for the pass to keep what it multiplies: hidden values themselves, or whole numbers."""
        if hidden.dtype == self.operand_type:
            return hidden
        num_inputs = self.packed.shape[1] * self.packed.shape[-1]
        return np.zeros((filled(len(hidden), SPARE_ROWS), num_inputs), self.operand_type)


def padded_shape(packed: NDArray[Any]) -> tuple[int, int]:
    """(4, cells) of packed weights."""
    return NUM_GATES, len(packed) * LANES


def _scale(weights: FloatArray, largest: int) -> FloatArray:
    """Of each column, so that its largest weight is the largest whole number."""
    highest: FloatArray = np.abs(weights).max(axis=0) / np.float32(largest)
    return np.where(highest > 0, highest, np.float32(1))


def _padded(columns: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """(4H,) -> (4, cells)."""
    whole = np.zeros(shape, columns.dtype)
    gates = columns.reshape(NUM_GATES, -1)
    whole[:, : gates.shape[1]] = gates
    return whole
