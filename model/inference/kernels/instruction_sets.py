"""The processor's instruction set, and what the kernels do on each: the width of a vector, and the block of sums.

The reasons are rates of the product of 48 rows in GF/s, at 128 / 256 cells, on one thread. Two multiply-adds of four
cycles each keep a core busy with eight independent sums; a block of 12 or more needs few loads a multiply-add. What
does not fit into the registers is stored and loaded in every step. `python -m benchmarks.engine.blocks` measures again.
"""

from __future__ import annotations

from dataclasses import dataclass

import llvmlite.binding as llvm
from numba.core import config


@dataclass(frozen=True, slots=True)
class Block:
    """The sums that stay in registers: one vector for each of `rows` rows and `gates` gates of some cells.

    A turn of the loop takes `inputs` steps. Of fewer rows, up to `units` such blocks of cells run side by side.
    """

    rows: int
    gates: int
    inputs: int
    units: int

    def units_of(self, num_rows: int) -> int:
        """The number of units that run side by side for `num_rows` rows: a power of two."""
        units = 1
        while 2 * units <= self.units and 2 * units * num_rows < self.rows:
            units *= 2
        return units


@dataclass(frozen=True, slots=True)
class InstructionSet:
    """What the kernels do on processors that have all of `needs`."""

    name: str
    needs: frozenset[str]
    lanes: int  # 32-bit numbers in a vector
    block: Block
    group: int  # rows that run all their steps together: their states and sums fit into the L2 cache
    reason: str


INSTRUCTION_SETS = (
    InstructionSet(
        "avx512",
        frozenset({"avx512f"}),
        lanes=16,
        block=Block(rows=6, gates=4, inputs=1, units=1),
        group=48,
        reason="24 of 32 registers hold sums, 4 weights, 1 the input",
    ),
    InstructionSet(
        "avx2",
        frozenset({"avx2"}),
        lanes=8,
        block=Block(rows=6, gates=2, inputs=2, units=4),
        group=48,
        reason="6 x 2: 89 / 89, in int16 140 / 139; 4 x 2: 84 / 83; 3 x 4, which needs 17 of 16 registers: 38 / 37",
    ),
    InstructionSet(
        "neon",
        frozenset({"neon"}),
        lanes=4,
        block=Block(rows=6, gates=4, inputs=1, units=1),
        group=48,
        reason="24 of 32 registers hold sums, as with AVX-512; not measured",
    ),
    InstructionSet(
        "baseline",
        frozenset(),
        lanes=4,
        block=Block(rows=6, gates=2, inputs=2, units=4),
        group=48,
        reason="16 registers, as with AVX2; not measured",
    ),
)
"""From the widest to what every processor has; the first one whose needs are met counts."""


def _features() -> set[str]:
    """Features of the target processor: this one, unless NUMBA_CPU_FEATURES or NUMBA_CPU_NAME set another."""
    if config.CPU_FEATURES is None:
        return {name for name, is_there in llvm.get_host_cpu_features().items() if is_there}
    return {name.removeprefix("+") for name in config.CPU_FEATURES.split(",") if not name.startswith("-")}


FEATURES = _features()
INSTRUCTION_SET = next(each for each in INSTRUCTION_SETS if each.needs <= FEATURES)
LANES, BLOCK, GROUP = INSTRUCTION_SET.lanes, INSTRUCTION_SET.block, INSTRUCTION_SET.group
HAS_VNNI = "avx512vnni" in FEATURES or ("avxvnni" in FEATURES and "avx512f" not in FEATURES)
