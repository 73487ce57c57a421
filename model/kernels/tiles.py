"""Products of sixteen rows of bytes with a block of weights, in a processor's matrix tiles (AMX).

The same weights, in the same order, as for the vector registers, and the same whole numbers as their sum. Tiles 0 to 3
hold the sums of the four gates, 4 the rows' inputs, 5 the weights.
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
from model.kernels.compiled import intrinsic
from model.kernels.registers import FEATURES, LANES

TILE_ROWS, TILE_INPUTS = 16, 64
_INPUTS, _WEIGHTS = NUM_GATES, NUM_GATES + 1  # numbers of these tiles

# palette 1; of each of eight tiles, 64 bytes a row, and 16 rows
TILE_SHAPES = np.frombuffer(struct.pack("<B15x8H16x8B8x", 1, *[TILE_INPUTS] * 8, *[TILE_ROWS] * 8), np.uint8).copy()

_INT8, _INT32, _INT64, _VOID = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.VoidType()


def _granted() -> bool:
    """Whether the processor has tiles for bytes and the system lets this process use them, which has to be asked."""
    if not ("amx-int8" in FEATURES and platform.system() == "Linux" and LANES == TILE_ROWS):
        return False
    arch_prctl, request_permission, tile_data = 158, 0x1023, 18
    return bool(ctypes.CDLL(None).syscall(arch_prctl, request_permission, tile_data) == 0)


HAS_TILES = _granted()


def _call(builder: Any, name: str, *arguments: Any) -> Any:
    kind = ir.FunctionType(_VOID, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.{name}"), arguments)


@intrinsic
def configure_tiles(_context: Any, shapes: Any) -> Any:
    """Give this thread's tiles their shapes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        _call(builder, "ldtilecfg", array.data)
        return context.get_dummy_value()

    return types.void(shapes), generate


@intrinsic
def release_tiles(_context: Any) -> Any:
    """Let go of them, so that the system need not save them."""

    def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        _call(builder, "tilerelease")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def multiply_tile(_context: Any, operand: Any, row: Any, packed: Any, block: Any, start: Any, out: Any, to: Any) -> Any:
    """out[to:][:16], of this block's cells = start + operand[row:][:16] @ the block's weights.

    operand (rows, inputs) bytes, inputs a multiple of 64; else as `registers.multiply_rows`.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        operand, packed, start, out = (
            context.make_array(signature.args[place])(context, builder, arguments[place]) for place in (0, 2, 4, 5)
        )
        row, block, to = (arguments[place] for place in (1, 3, 6))
        num_inputs = cgutils.unpack_tuple(builder, operand.shape)[1]
        cells = cgutils.unpack_tuple(builder, out.shape)[2]
        stride = builder.mul(cells, _INT64(NUM_GATES))
        out_bytes = builder.mul(stride, _INT64(4))
        quad_bytes = _INT64(4 * NUM_GATES * LANES)  # of the weights of four inputs

        def at(pointer: Any, *offsets: Any) -> Any:
            for offset in offsets:
                pointer = builder.gep(pointer, [offset])
            return builder.bitcast(pointer, _INT8.as_pointer())

        def load(tile: int, pointer: Any, row_bytes: Any) -> None:
            _call(builder, "tileloadd64", _INT8(tile), pointer, row_bytes)

        gates = [builder.mul(cells, _INT64(gate)) for gate in range(NUM_GATES)]
        lane = builder.mul(block, _INT64(LANES))
        rows = builder.gep(operand.data, [builder.mul(row, num_inputs)])
        weights = builder.gep(packed.data, [builder.mul(builder.mul(block, num_inputs), _INT64(NUM_GATES * LANES))])
        for gate in range(NUM_GATES):
            load(gate, at(start.data, lane, gates[gate]), _INT64(0))  # the same for each row
        with cgutils.for_range_slice(builder, _INT64(0), num_inputs, _INT64(TILE_INPUTS)) as (k, _):
            load(_INPUTS, at(rows, k), num_inputs)
            here = builder.gep(weights, [builder.mul(k, _INT64(NUM_GATES * LANES))])
            for gate in range(NUM_GATES):
                load(_WEIGHTS, at(here, _INT64(4 * LANES * gate)), quad_bytes)
                _call(builder, "tdpbusd", _INT8(gate), _INT8(_INPUTS), _INT8(_WEIGHTS))
        place = builder.gep(out.data, [builder.add(builder.mul(to, stride), lane)])
        for gate in range(NUM_GATES):
            _call(builder, "tilestored64", _INT8(gate), at(place, gates[gate]), out_bytes)
        return context.get_dummy_value()

    index = types.intp
    return types.void(operand, index, packed, index, start, out, index), generate
