"""Tests of plans in blocks: padded to fixed sizes, and every token runs once, in its row and in order."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.inference.kernels.gpu import blocks as blocks_module
from model.inference.kernels.gpu.blocks import MAX_ROWS, ROW_CLASSES, STEPS, cut_into_blocks, row_class
from model.inference.schedule import plan_rows

SMALL = {"MAX_ROWS": 4, "ROW_CLASSES": (1, 2, 4), "STEPS": 3}  # few rows fill a group, and few tokens a block


@given(st.lists(st.integers(0, 12), min_size=1, max_size=14), st.sets(st.integers(0, 14), max_size=4))
def test_every_token_has_a_slot_of_its_own_at_its_step_and_row(lengths: list[int], stops: set[int]) -> None:
    plan = plan_rows(np.array(lengths, np.intp))
    with patch.multiple(blocks_module, **SMALL):
        blocks = cut_into_blocks(plan, stops)
    of_slot: dict[int, tuple[int, int]] = {}  # slot -> place, step
    for number, group in enumerate(blocks.groups):
        assert (group.places.start, group.places.stop) == (4 * number, min(4 * number + 4, len(lengths)))
        assert group.rows in (1, 2, 4)
        assert group.rows >= group.places.stop - group.places.start
        step = 0
        for block in group.blocks:
            assert block.slots.stop - block.slots.start == 3 * block.rows
            assert step < block.end <= step + 3
            assert not stops & set(range(step + 1, block.end)), "a block ends where rows are read out"
            for slot in range(block.slots.start, block.slots.stop):
                inner_step, row = divmod(slot - block.slots.start, block.rows)
                if step + inner_step < block.end:
                    of_slot[group.slots.start + slot] = group.places.start + row, step + inner_step
            step = block.end
        assert (
            step
            == group.end
            == max(lengths[plan.order[place]] for place in range(group.places.start, group.places.stop))
        )
    assert len(of_slot) <= blocks.num_slots
    assert len(set(blocks.slot.tolist())) == len(blocks.slot) == sum(lengths)
    starts = np.cumsum([0, *lengths])
    for place, row in enumerate(plan.order.tolist()):
        read = [of_slot[int(blocks.slot[starts[row] + step])] for step in range(lengths[row])]
        assert read == [(place, step) for step in range(lengths[row])]


@pytest.mark.parametrize("num_rows", [1, 2, 9, 500, MAX_ROWS])
def test_a_row_class_is_the_smallest_that_holds_the_rows(num_rows: int) -> None:
    rows = row_class(num_rows)
    assert rows >= num_rows
    assert all(other < num_rows for other in ROW_CLASSES if other < rows)


def test_padding_is_less_than_half_of_the_tokens_of_a_full_batch() -> None:
    lengths = np.clip(np.random.default_rng(1).normal(20, 8, 1024), 1, 60).astype(np.intp)
    blocks = cut_into_blocks(plan_rows(lengths))
    assert blocks.num_slots < 1.5 * lengths.sum()
    [alone] = cut_into_blocks(plan_rows(np.array([20]))).groups
    assert [block.rows for block in alone.blocks] == [1] * -(-20 // STEPS)
