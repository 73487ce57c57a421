"""Products of up to sixteen rows with a block of weights in matrix tiles (AMX).

Products of bytes are exact. Products of float32 numbers are computed from their bfloat16 parts: with hidden values
h1 + h2 + h3 and weights w1 + w2 + w3, the six products hi wj with i + j <= 4 are summed in float32. The products left
out are about 2^-24 of the result, the rounding error of float32 (Henry, Tang and Heinecke 2019, "Leveraging the
bfloat16 Artificial Intelligence Datatype For Higher-Precision Computations"). A weight stored as float16 has no w3.

Tiles 0 to 3 hold the sums of the four gates, 4 to 6 the parts of the inputs, and 7 the weights.
"""

# ruff: noqa: PLR0913, PLR0917 - compiled loops take plain arrays

from __future__ import annotations

import ctypes
import platform
import struct
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from model.config import NUM_GATES
from model.inference.kernels.compiled import intrinsic, unpacked
from model.inference.kernels.instruction_sets import FEATURES, LANES
from model.inference.kernels.operands import FLOAT_PARTS

TILE_ROWS, ROW_BYTES = 16, 64
TILE_BYTES = TILE_ROWS * ROW_BYTES
NUM_TILES = 8
_INPUTS, _WEIGHTS = NUM_GATES, NUM_TILES - 1  # tile numbers: the first tile of inputs, and that of weights

_INT8, _INT64, _VOID = ir.IntType(8), ir.IntType(64), ir.VoidType()
_BYTES = _INT8.as_pointer()

_INSTRUCTIONS = {types.uint8: ("tdpbusd", 1), types.uint16: ("tdpbf16ps", FLOAT_PARTS)}
"""Type of operand -> the instruction that multiplies its tiles, and its number of parts."""


def _shapes(num_rows: int) -> bytes:
    """The configuration of the tiles (palette 1): `num_rows` rows each, but TILE_ROWS for the tile of weights."""
    rows = [num_rows] * (NUM_TILES - 1) + [TILE_ROWS]
    return struct.pack("<B15x8H16x8B8x", 1, *[ROW_BYTES] * NUM_TILES, *rows)


TILE_SHAPES = np.frombuffer(b"".join(map(_shapes, range(TILE_ROWS + 1))), np.uint8).reshape(TILE_ROWS + 1, -1).copy()
"""Number of rows -> the configuration of the tiles, as bytes."""


def _has_tiles() -> bool:
    """Whether the processor has tiles for both types, and Linux grants this process's request to use them."""
    if not ({"amx-int8", "amx-bf16"} <= FEATURES and platform.system() == "Linux" and LANES == TILE_ROWS):
        return False
    arch_prctl, request_permission, tile_data = 158, 0x1023, 18
    return bool(ctypes.CDLL(None).syscall(arch_prctl, request_permission, tile_data) == 0)


HAS_TILES = _has_tiles()


def _call(builder: Any, name: str, *arguments: Any) -> Any:
    kind = ir.FunctionType(_VOID, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.{name}"), arguments)


@intrinsic
def configure_tiles(_context: Any, shapes: Any) -> Any:
    """Configure this thread's tiles with a row of TILE_SHAPES."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        _call(builder, "ldtilecfg", array.data)
        return context.get_dummy_value()

    return types.void(shapes), generate


@intrinsic
def release_tiles(_context: Any) -> Any:
    """Release this thread's tiles, so that the system does not have to save them."""

    def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        _call(builder, "tilerelease")
        return context.get_dummy_value()

    return types.void(), generate


def tile_product(num_parts: int) -> Any:
    """The compiled loop for weights of `num_parts` parts: `multiply_tile`, below."""

    @intrinsic
    def multiply_tile(
        _context: Any, operand: Any, row: Any, packed: Any, block: Any, start: Any, out: Any, out_row: Any
    ) -> Any:
        """Set out[out_row:] to start + operand[row:] @ weights, for the cells of the block and the configured rows.

        operand (rows, inputs) or (rows, 3, inputs); packed (blocks, steps, 4, parts, 16, 64 bytes); start (4, cells);
        out (rows, 4, cells). All contiguous.
        """
        index = types.intp
        return types.void(operand, index, packed, index, start, out, index), _generate

    def _generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        instruction, operand_parts = _INSTRUCTIONS[signature.args[0].dtype]
        (operand, packed, start, out), (row, block, out_row) = unpacked(context, builder, signature, arguments)
        operand_bytes, part_bytes, *_ = cgutils.unpack_tuple(builder, operand.strides)  # without parts, 0 * part_bytes
        block_bytes, step_bytes, gate_bytes, *_ = cgutils.unpack_tuple(builder, packed.strides)
        row_bytes, out_gate_bytes, _ = cgutils.unpack_tuple(builder, out.strides)

        def at(array: Any, *offsets: tuple[Any, Any]) -> Any:
            pointer = builder.bitcast(array.data, _BYTES)
            for number, size in offsets:
                pointer = builder.gep(pointer, [builder.mul(number, size)])
            return pointer

        def load(tile: int, pointer: Any, stride: Any) -> None:
            _call(builder, "tileloadd64", _INT8(tile), pointer, stride)

        gates = [(_INT64(gate), out_gate_bytes) for gate in range(NUM_GATES)]
        lanes = block, _INT64(ROW_BYTES)
        for gate in range(NUM_GATES):
            load(gate, at(start, gates[gate], lanes), _INT64(0))  # the same for each row
        num_steps = cgutils.unpack_tuple(builder, packed.shape)[1]
        with cgutils.for_range(builder, num_steps) as loop:
            for part in range(operand_parts):
                inputs = (row, operand_bytes), (_INT64(part), part_bytes), (loop.index, _INT64(ROW_BYTES))
                load(_INPUTS + part, at(operand, *inputs), operand_bytes)
            here = at(packed, (block, block_bytes), (loop.index, step_bytes))
            for gate in range(NUM_GATES):
                for part in range(num_parts):
                    of_gate = builder.gep(here, [builder.mul(_INT64(gate), gate_bytes)])
                    load(_WEIGHTS, builder.gep(of_gate, [_INT64(part * TILE_BYTES)]), _INT64(ROW_BYTES))
                    for inputs_part in range(operand_parts - part):
                        _call(builder, instruction, _INT8(gate), _INT8(_INPUTS + inputs_part), _INT8(_WEIGHTS))
        for gate in range(NUM_GATES):
            place = at(out, (out_row, row_bytes), gates[gate], lanes)
            _call(builder, "tilestored64", _INT8(gate), place, row_bytes)
        return context.get_dummy_value()

    return multiply_tile
