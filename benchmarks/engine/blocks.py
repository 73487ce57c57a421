"""Rates of the recurrent product for each block of sums, from which the table of the kernels is made.

    python -m benchmarks.engine.blocks

GF/s on one thread for 48 rows, the best of some rounds, in which all blocks take turns; one row is a text alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from numba import njit
from rich.console import Console
from rich.table import Table

from benchmarks.engine.measure import HIDDEN_SIZES
from benchmarks.engine.timing import best_seconds
from model.config import NUM_GATES
from model.inference.kernels.instruction_sets import BLOCK, INSTRUCTION_SET, Block
from model.inference.kernels.products import pack, zeros
from model.inference.kernels.registers import product_of_rows

NUM_ROWS, NUM_ROUNDS, FLOPS_A_ROUND = 48, 4, 5e8
ROWS_AND_GATES = ((3, 4), (4, 2), (6, 2), (6, 4), (12, 1))
INPUTS = (1, 2, 4)
OPERANDS = ("float32", "int16")


def product_in_turns(block: Block, operand: str, hidden_size: int) -> Callable[[], None]:
    """A product of NUM_ROWS rows, repeated until FLOPS_A_ROUND are made."""
    multiply_rows, num_rows = product_of_rows(block.rows, 1, block), block.rows
    sums = np.dtype(np.float32 if operand == "float32" else np.int32)
    weights = np.random.default_rng(0).integers(-9, 9, (hidden_size, NUM_GATES * hidden_size)).astype(operand)
    packed = pack(weights, np.dtype(operand), block)
    rows, start, out = (
        zeros(shape, kind)
        for shape, kind in (
            ((NUM_ROWS, hidden_size), np.dtype(operand)),
            ((NUM_GATES, hidden_size), sums),
            ((NUM_ROWS, NUM_GATES, hidden_size), sums),
        )
    )
    num_times = int(FLOPS_A_ROUND / (2 * NUM_GATES * hidden_size**2 * NUM_ROWS))

    def run(rows: Any, packed: Any, start: Any, out: Any, num_times: int) -> None:
        for _ in range(num_times):
            for unit in range(packed.shape[0] * packed.shape[1]):
                for row in range(0, NUM_ROWS, num_rows):
                    multiply_rows(rows, row, packed, unit, start, out, row)

    return partial(njit(run), rows, packed, start, out, num_times)


def main() -> None:
    """Print the table."""
    blocks = [Block(rows, gates, inputs, units=1) for (rows, gates), inputs in product(ROWS_AND_GATES, INPUTS)]
    kinds = list(product(OPERANDS, HIDDEN_SIZES))
    runs = [product_in_turns(block, *kind) for block, kind in product(blocks, kinds)]
    rates = FLOPS_A_ROUND / 1e9 / np.reshape(best_seconds(runs, NUM_ROUNDS), (len(blocks), len(kinds)))
    table = Table("rows x gates", "inputs a turn", *(f"{operand}, {size}" for operand, size in kinds))
    for block, of_block in zip(blocks, rates.tolist(), strict=True):
        chosen = (block.rows, block.gates, block.inputs) == (BLOCK.rows, BLOCK.gates, BLOCK.inputs)
        name = f"{block.rows} x {block.gates}{' (chosen)' if chosen else ''}"
        table.add_row(name, str(block.inputs), *(f"{rate:.0f}" for rate in of_block))
    console = Console(width=100, highlight=False)
    console.print(f"{INSTRUCTION_SET.name}; GF/s by operand and cells")
    console.print(table)


if __name__ == "__main__":
    main()
