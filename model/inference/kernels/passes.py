"""Compiled passes of the LSTMs over a whole plan. Each group of rows, small enough for the cache, runs all its steps.

The longest rows come first, so the rows still running are always the first of a group and nothing is padded.
"""

# ruff: noqa: PLR0913, PLR0917 - compiled loops take plain arrays

from __future__ import annotations

from typing import Any

import numpy as np

from model.inference.kernels.compiled import compiled
from model.inference.kernels.gates import pool_row, step_row
from model.inference.kernels.instruction_sets import GROUP
from model.inference.kernels.operands import write_operand
from model.inference.kernels.products import multiply
from model.inference.kernels.registers import prefetch_row


@compiled
def read_tokens(
    first: int,
    begin: int,
    num_active: Any,
    firsts: Any,
    ids: Any,
    table: Any,
    table_scale: Any,
    packed: Any,
    packed_scale: Any,
    start: Any,
    hidden: Any,
    cell: Any,
    maximum: Any,
    total: Any,
    num_tokens: Any,
    mean_logits: Any,
    readout: Any,
    bias: Any,
    operand: Any,
    logits: Any,
) -> None:
    """Run the word LSTM from step `begin` on, for the group of up to GROUP rows that starts at place `first`.

    num_active (steps,): active rows of all groups at each step. ids (tokens,): those of the row at place p start at
    firsts[p]. table (V, 4, H), V the number of vocabulary rows; packed, start: see `products.py`; readout (9, H); bias
    (3,). Updated in place: hidden, cell, maximum, total (rows, H); num_tokens (rows,); mean_logits (rows, 3); operand
    (rows, inputs of the product). Output: logits (tokens, 3).
    """
    sums = np.empty((GROUP, *start.shape), start.dtype)
    for place in range(first, min(first + GROUP, num_active[0])):
        write_operand(hidden, operand, place)
    for step in range(num_active.shape[0]):
        active = min(num_active[step] - first, GROUP)
        if active <= 0:
            break
        for place in range(first, first + active):
            prefetch_row(table, ids[firsts[place] + begin + step])
        multiply(operand, first, active, packed, start, sums)
        for row in range(active):
            place = first + row
            at = firsts[place] + begin + step
            step_row(sums, row, packed_scale, table, ids[at], table_scale, hidden, cell, place)
            write_operand(hidden, operand, place)
            pool_row(hidden, maximum, total, num_tokens, mean_logits, place, readout, bias, logits, at)


@compiled
def step_texts(
    num_active: Any,
    firsts: Any,
    inputs: Any,
    packed: Any,
    start: Any,
    hidden: Any,
    cell: Any,
    slots: Any,
    states: Any,
) -> None:
    """Run the stream LSTM over the texts of each stream.

    inputs (texts, 4, K): those of the stream at place p start at firsts[p]. Updated in place: hidden, cell (streams,
    K). Output: states (states, 2, K); states[slots[p] + step + 1] is the state after text `step` of the stream at p.
    """
    unscaled = np.empty((0, 0), np.float32)
    sums = np.empty((GROUP, *start.shape), np.float32)
    for first in range(0, hidden.shape[0], GROUP):
        for step in range(num_active.shape[0]):
            active = min(num_active[step] - first, GROUP)
            if active <= 0:
                break
            multiply(hidden, first, active, packed, start, sums)
            for row in range(active):
                place = first + row
                step_row(sums, row, unscaled, inputs, firsts[place] + step, unscaled, hidden, cell, place)
                states[slots[place] + step + 1, 0] = hidden[place]
                states[slots[place] + step + 1, 1] = cell[place]
