"""The part of a word LSTM step that follows the matrix product, in one Triton kernel: gates, pools and readout.

Triton compiles it for the present GPU on the first launch. `gates.py` has the same loops for the CPU.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor


@triton.jit(do_not_specialize_on_alignment=["ids", "logits"])  # type: ignore[untyped-decorator]
def step_kernel(  # type: ignore[no-untyped-def] # noqa: PLR0913, PLR0917 - plain pointers, which Triton types
    gates,  # (rows, 4H): the recurrent term
    ids,  # (rows,): the table row of the token; negative for a row without a token, which stays unchanged
    table,  # (V, 4H)
    hidden,  # (rows, H), like the next two
    cell,
    maximum,
    operand,  # (rows, H): the hidden state in the operand type of the next product
    total,  # (rows, H), double
    means,  # (rows, 4), double: the mean's term of the logits times the number of tokens, and that number
    readout,  # (9, H): weights of last, maximum and mean, each for three classes
    bias,  # (3,)
    logits,  # (rows, 3): output, of the text so far
    SIZE: tl.constexpr,  # noqa: N803 - H
    LANES: tl.constexpr,  # noqa: N803 - the next power of two
):
    """One step of one row. The grid is (rows,)."""
    row = tl.program_id(0)
    token = tl.load(ids + row)
    if token >= 0:
        lane = tl.arange(0, LANES)
        within = lane < SIZE
        g = gates + row * 4 * SIZE + lane
        x = table + token.to(tl.int64) * 4 * SIZE + lane
        i = tl.sigmoid(tl.load(g, within, 0.0) + tl.load(x, within, 0.0))
        f = tl.sigmoid(tl.load(g + SIZE, within, 0.0) + tl.load(x + SIZE, within, 0.0))
        a = 2 * tl.sigmoid(2 * (tl.load(g + 2 * SIZE, within, 0.0) + tl.load(x + 2 * SIZE, within, 0.0))) - 1  # tanh
        o = tl.sigmoid(tl.load(g + 3 * SIZE, within, 0.0) + tl.load(x + 3 * SIZE, within, 0.0))
        at = row * SIZE + lane
        c = f * tl.load(cell + at, within, 0.0) + i * a
        h = o * (2 * tl.sigmoid(2 * c) - 1)
        m = tl.maximum(tl.load(maximum + at, within, 0.0), h)
        tl.store(cell + at, c, within)
        tl.store(hidden + at, h, within)
        tl.store(operand + at, h.to(operand.dtype.element_ty), within)
        tl.store(maximum + at, m, within)
        tl.store(total + at, tl.load(total + at, within, 0.0) + h.to(tl.float64), within)
        # The sums below are barriers: all threads have read these values before any thread overwrites them.
        count = tl.load(means + row * 4 + 3) + 1
        for k in tl.static_range(3):
            before = tl.load(means + row * 4 + k)
            weights = readout + k * SIZE + lane
            last = tl.sum(h * tl.load(weights, within, 0.0) + m * tl.load(weights + 3 * SIZE, within, 0.0))
            mean = before + tl.sum(h * tl.load(weights + 6 * SIZE, within, 0.0)).to(tl.float64)
            tl.store(means + row * 4 + k, mean)
            tl.store(logits + row * 3 + k, tl.load(bias + k) + last + (mean / count).to(tl.float32))
        tl.store(means + row * 4 + 3, count)


def step_on_gpu(gates: Tensor, ids: Tensor, table: Tensor, hidden: Tensor, *others: Tensor) -> None:
    """Launch `step_kernel` on all rows. The arguments are the kernel's, in the same order."""
    size = hidden.shape[1]
    step_kernel[(len(ids),)](gates, ids, table, hidden, *others, **launch_options(size))


def launch_options(size: int) -> dict[str, int | bool]:
    """Launch options for rows of `size` cells. Each thread gets four neighbouring cells, one load of 16 bytes."""
    lanes = triton.next_power_of_2(size)
    return {"SIZE": size, "LANES": lanes, "num_warps": max(1, min(8, lanes // 128)), "enable_fp_fusion": True}
