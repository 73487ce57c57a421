"""Weights in matrix tiles, on any processor: every weight stands where the tile products look for it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from model.config import NUM_GATES
from model.inference.kernels import products
from model.inference.kernels.instruction_sets import LANES
from model.inference.kernels.operands import FLOAT_PARTS
from model.inference.kernels.products import operand_shape, pack
from model.inference.kernels.registers import CACHE_LINE_BYTES
from model.inference.kernels.tiles import ROW_BYTES, TILE_ROWS

HIDDEN = 41  # no multiple of a block of cells, nor of a step of inputs
UINT8, UINT16 = np.dtype(np.uint8), np.dtype(np.uint16)


def weight_at(packed: NDArray[np.generic], part: int, row: int, gate: int, cell: int) -> np.generic:
    """The packed number of input `row`, `gate` and `cell`: (blocks, steps, gates, parts, tile rows, lanes x inputs)."""
    in_lane = 4 // packed.itemsize
    step, rest = divmod(row, TILE_ROWS * in_lane)
    tile_row, number = divmod(rest, in_lane)
    block, lane = divmod(cell, LANES)
    found: np.generic = packed[block, step, gate, part, tile_row, lane * in_lane + number]
    return found


def as_float(bfloat16: np.generic) -> np.float32:
    return np.array([int(bfloat16)], np.uint32).__lshift__(16).view(np.float32)[0]


def test_a_float_is_the_sum_of_its_parts_at_its_place() -> None:
    weights = np.random.default_rng(0).standard_normal((HIDDEN, NUM_GATES * HIDDEN)).astype(np.float32)
    packed = pack(weights, UINT16)
    assert packed.shape[3] == FLOAT_PARTS
    for row, gate, cell in [(0, 0, 0), (1, 2, 17), (33, 3, 39), (39, 1, 16)]:
        parts = [as_float(weight_at(packed, part, row, gate, cell)) for part in range(FLOAT_PARTS)]
        assert sum(map(np.float64, parts)) == pytest.approx(float(weights[row, gate * HIDDEN + cell]), rel=2**-23)


def test_weights_of_half_precision_need_a_part_less() -> None:
    weights = np.random.default_rng(0).standard_normal((HIDDEN, NUM_GATES * HIDDEN))
    packed = pack(weights.astype(np.float16).astype(np.float32), UINT16)
    assert packed.shape[3] == FLOAT_PARTS - 1


def test_what_fills_up_a_block_or_a_step_is_zero() -> None:
    packed = pack(np.ones((HIDDEN, NUM_GATES * HIDDEN), np.float32), UINT16)
    num_inputs = packed.shape[1] * ROW_BYTES // packed.itemsize
    num_cells = packed.shape[0] * LANES
    assert num_inputs > HIDDEN
    assert num_cells > HIDDEN
    assert weight_at(packed, 0, num_inputs - 1, 0, 0) == 0
    assert weight_at(packed, 0, 0, 0, num_cells - 1) == 0


def test_bytes_are_packed_four_inputs_to_a_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "HAS_TILES", True)
    weights = np.random.default_rng(0).integers(-127, 128, (HIDDEN, NUM_GATES * HIDDEN)).astype(np.int8)
    packed = pack(weights, UINT8)
    assert packed.shape[3] == 1
    for row, gate, cell in [(0, 0, 0), (2, 3, 31), (39, 1, 39)]:
        assert weight_at(packed, 0, row, gate, cell) == weights[row, gate * HIDDEN + cell]
    assert operand_shape(packed, UINT8) == (packed.shape[1] * ROW_BYTES,)


def test_a_row_of_the_operand_has_a_part_for_each_part_of_a_float() -> None:
    packed = pack(np.ones((HIDDEN, NUM_GATES * HIDDEN), np.float32), UINT16)
    assert operand_shape(packed, UINT16) == (FLOAT_PARTS, packed.shape[1] * ROW_BYTES // UINT16.itemsize)


def test_tiles_begin_with_a_cache_line() -> None:
    packed = pack(np.ones((HIDDEN, NUM_GATES * HIDDEN), np.float32), UINT16)
    assert packed.ctypes.data % CACHE_LINE_BYTES == 0
