"""Products of a few rows with a block of weights in vector registers, as LLVM instructions that numba compiles.

A unit holds the weights of LANES cells: for every input, some of their gates side by side. The sums of a few rows, a
vector for each gate, stay in registers while the loop runs over the inputs; `instruction_sets.py` has the number of
rows and gates. A library's product is slower because it repacks the weights in every call.

    operand   packed                             sums
    float32   float32, one input per step        float32
    uint8     int8, four inputs per step         int32, exact (VNNI: vpdpbusd)
    int16     int16, two inputs per step         int32, exact (pmaddwd)
"""

# ruff: noqa: PLR0913, PLR0917 - compiled loops take plain arrays

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from model.config import NUM_GATES
from model.inference.kernels.compiled import intrinsic, unpacked
from model.inference.kernels.instruction_sets import LANES, Block

Value = Any  # a value of the compiled program; llvmlite has no type annotations


CACHE_LINE_BYTES = 64

_INT8, _INT16, _INT32, _INT64, _FLOAT = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()


@dataclass(frozen=True)
class _Arithmetic:
    """The inner loop for one type of operand: the inputs of a step, and how they are added to the sums."""

    num_inputs: int
    word: Any  # LLVM type of the inputs of one row in one step
    add: Callable[[Any, Value, Value, Value], Value]  # (builder, sums, word of a row in each lane, weights) -> sums


def _add_floats(builder: Any, sums: Value, inputs: Value, weights: Value) -> Value:
    fused = ("contract",)
    return builder.fadd(sums, builder.fmul(inputs, weights, flags=fused), flags=fused)


def _add_bytes(builder: Any, sums: Value, inputs: Value, weights: Value) -> Value:
    """Four products per lane, of unsigned inputs and signed weights."""
    vector, quads = sums.type, ir.VectorType(_INT8, 4 * LANES)
    operands = quads if llvm.llvm_version_info[0] > 20 else vector
    name = f"llvm.x86.avx512.vpdpbusd.{32 * LANES}"
    dot = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector, operands, operands]), name)
    return builder.call(dot, [sums, builder.bitcast(inputs, operands), builder.bitcast(weights, operands)])


def _add_pairs(builder: Any, sums: Value, inputs: Value, weights: Value) -> Value:
    """Two products per lane. Without an instruction for it, LLVM gets the single operations."""
    vector, pairs = sums.type, ir.VectorType(_INT16, 2 * LANES)
    inputs, weights = builder.bitcast(inputs, pairs), builder.bitcast(weights, pairs)
    name = {16: "llvm.x86.avx512.pmaddw.d.512", 8: "llvm.x86.avx2.pmadd.wd"}.get(LANES)
    if name:
        dot = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [pairs, pairs]), name)
        return builder.add(sums, builder.call(dot, [inputs, weights]))
    wide = ir.VectorType(_INT32, 2 * LANES)
    products = builder.mul(builder.sext(inputs, wide), builder.sext(weights, wide))
    even, odd = (builder.shuffle_vector(products, products, _lanes(range(first, 2 * LANES, 2))) for first in (0, 1))
    return builder.add(sums, builder.add(even, odd))


_ARITHMETIC = {
    types.float32: _Arithmetic(1, _FLOAT, _add_floats),
    types.uint8: _Arithmetic(4, _INT32, _add_bytes),
    types.int16: _Arithmetic(2, _INT32, _add_pairs),
}

INPUTS_A_STEP = {np.dtype(str(kind)): arithmetic.num_inputs for kind, arithmetic in _ARITHMETIC.items()}
"""Type of operand -> inputs per step, by which the weights are packed."""


def _lanes(numbers: Any) -> Value:
    numbers = list(numbers)
    return ir.Constant(ir.VectorType(_INT32, len(numbers)), numbers)


def product_of_rows(num_rows: int, num_units: int, block: Block) -> Any:
    """The compiled loop for `num_rows` rows and `num_units` units of weights: `multiply_rows`, below."""

    @intrinsic
    def multiply_rows(
        _context: Any, operand: Any, row: Any, packed: Any, unit: Any, start: Any, out: Any, out_row: Any
    ) -> Any:
        """Set out[out_row:][:num_rows] to start + operand[row:][:num_rows] @ weights, for the cells of the units.

        operand (rows, inputs); packed (units, inputs / step, gates, LANES, step), all gates of a cell's block before
        the next block; start (4, cells); out (rows, 4, cells). All contiguous.
        """
        index = types.intp
        signature = types.void(operand, index, packed, index, start, out, index)
        return signature, _generate

    def _generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Value:
        arithmetic = _ARITHMETIC[signature.args[0].dtype]
        (operand, packed, start, out), (row, unit, out_row) = unpacked(context, builder, signature, arguments)
        num_inputs = cgutils.unpack_tuple(builder, operand.shape)[1]
        cells = cgutils.unpack_tuple(builder, out.shape)[2]
        stride = builder.mul(cells, _INT64(NUM_GATES))
        element = ir.FloatType() if arithmetic.word is _FLOAT else _INT32
        vector = ir.VectorType(element, LANES)
        width = block.gates * LANES

        def at(pointer: Value, *offsets: Value) -> Value:
            for offset in offsets:
                pointer = builder.gep(pointer, [offset])
            return pointer

        def loaded(pointer: Value, kind: Any) -> Value:
            return builder.load(builder.bitcast(pointer, kind.as_pointer()), align=1)

        rows = [at(operand.data, builder.mul(builder.add(row, _INT64(r)), num_inputs)) for r in range(num_rows)]
        units = [builder.add(unit, _INT64(number)) for number in range(num_units)]
        weights = [at(packed.data, builder.mul(builder.mul(each, num_inputs), _INT64(width))) for each in units]
        columns = []  # offset of each vector of sums in a row of `out`
        for each in units:
            of_block, part = (
                getattr(builder, name)(each, _INT64(NUM_GATES // block.gates)) for name in ("udiv", "urem")
            )
            for gate in range(block.gates):
                number = builder.add(builder.mul(part, _INT64(block.gates)), _INT64(gate))
                columns.append(builder.add(builder.mul(number, cells), builder.mul(of_block, _INT64(LANES))))

        def add_step(k: Value, sums: list[Value]) -> list[Value]:
            step = LANES * arithmetic.num_inputs
            here = [at(each, builder.mul(k, _INT64(width))) for each in weights]
            values = [loaded(at(each, _INT64(gate * step)), vector) for each in here for gate in range(block.gates)]
            results: list[Value] = []
            for r in range(num_rows):
                word = builder.insert_element(
                    ir.Constant(vector, ir.Undefined), loaded(at(rows[r], k), arithmetic.word), _INT32(0)
                )
                inputs = builder.shuffle_vector(word, word, _lanes([0] * LANES))
                for value in values:
                    results.append(arithmetic.add(builder, sums[len(results)], inputs, value))
            return results

        sums = [loaded(at(start.data, column), vector) for column in columns] * num_rows
        turn = block.inputs * arithmetic.num_inputs
        whole = builder.sub(num_inputs, builder.urem(num_inputs, _INT64(turn)))
        sums = _loop(builder, _INT64(0), whole, turn, arithmetic.num_inputs, add_step, sums)
        if block.inputs > 1:
            sums = _loop(builder, whole, num_inputs, arithmetic.num_inputs, arithmetic.num_inputs, add_step, sums)
        for r in range(num_rows):
            place = at(out.data, builder.mul(builder.add(out_row, _INT64(r)), stride))
            for number, column in enumerate(columns):
                pointer = builder.bitcast(at(place, column), vector.as_pointer())
                builder.store(sums[r * len(columns) + number], pointer, align=4)
        return context.get_dummy_value()

    return multiply_rows


def _loop(
    builder: Any,
    begin: Value,
    end: Value,
    turn: int,
    step: int,
    add_step: Callable[[Value, list[Value]], list[Value]],
    sums: list[Value],
) -> list[Value]:
    """Add the inputs from `begin` to `end` to the sums: `turn` inputs in each turn of the loop, `step` at once."""
    before, loop, after = builder.block, *map(builder.append_basic_block, ("inputs", "summed"))
    builder.cbranch(builder.icmp_unsigned("<", begin, end), loop, after)
    builder.position_at_end(loop)
    k = builder.phi(_INT64)
    k.add_incoming(begin, before)
    results = running = [builder.phi(value.type) for value in sums]
    for offset in range(0, turn, step):
        results = add_step(builder.add(k, _INT64(offset)), results)
    following = builder.add(k, _INT64(turn))
    k.add_incoming(following, loop)
    for phi, first, result in zip(running, sums, results, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(result, loop)
    builder.cbranch(builder.icmp_unsigned("<", following, end), loop, after)
    builder.position_at_end(after)
    summed = [builder.phi(value.type) for value in sums]
    for phi, first, result in zip(summed, sums, results, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(result, loop)
    return summed


@intrinsic
def prefetch_row(_context: Any, table: Any, row: Any) -> Any:
    """Prefetch table[row] (4, H) into the L2 cache."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        row_bytes = cgutils.unpack_tuple(builder, array.strides)[0]
        base = builder.bitcast(array.data, _INT8.as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [base.type, _INT32, _INT32, _INT32])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        begin = builder.mul(arguments[1], row_bytes)
        end = builder.add(begin, row_bytes)
        with cgutils.for_range_slice(builder, begin, end, _INT64(CACHE_LINE_BYTES)) as (offset, _):
            builder.call(prefetch, [builder.gep(base, [offset]), _INT32(0), _INT32(2), _INT32(1)])  # to read, L2, data
        return context.get_dummy_value()

    return types.void(table, types.intp), generate
