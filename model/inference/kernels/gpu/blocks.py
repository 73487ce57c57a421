"""Cuts a plan into blocks of a few fixed sizes, because a captured graph replays its kernels with fixed shapes.

A block is STEPS steps of a number of rows that is rounded up to one of ROW_CLASSES. A *slot* is one row at one step of
a block; a slot without a token is padding and changes nothing. Plain numpy.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from model.inference.schedule import IntArray, RowPlan

STEPS = 8  # per block: fewer steps pad less at the end of rows, more steps need fewer launches
ROW_CLASSES = (1, 8, 32, 64, 128, 256, 512, 768, 1024)
MAX_ROWS = ROW_CLASSES[-1]  # run side by side; more rows run in groups, one after the other


@dataclass(frozen=True, slots=True)
class Block:
    """Some steps of the rows of a group that are still running, with padding."""

    rows: int  # one of ROW_CLASSES
    slots: slice  # among the group's slots, which are ordered by step, then by row
    end: int  # the step after the block's last one


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of a plan that run together."""

    places: slice  # of the plan
    rows: int  # one of ROW_CLASSES, large enough for them
    blocks: list[Block]
    slots: slice  # among the slots of all groups

    @property
    def end(self) -> int:
        """The step after the group's last one."""
        return self.blocks[-1].end if self.blocks else 0


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """A plan that is cut into blocks."""

    groups: list[Group]
    slot: IntArray  # (tokens,): the slot of each token
    num_slots: int


def cut_into_blocks(plan: RowPlan, stops: Iterable[int] = ()) -> Blocks:
    """Cut a plan into blocks. No block runs across a step of `stops`, before which states of rows are read out."""
    active = plan.num_active
    slot = np.empty(active.sum(), np.intp)
    ordered_stops, num_slots = sorted(stops), 0
    groups: list[Group] = []
    for first in range(0, len(plan.order), MAX_ROWS):
        places = slice(first, min(first + MAX_ROWS, len(plan.order)))
        running = np.minimum(active[active > first], places.stop) - first  # per step: running rows of this group
        blocks, first_slot = _cut(running, ordered_stops)
        slots = slice(num_slots, blocks[-1].slots.stop + num_slots if blocks else num_slots)
        # token t of the row at place p is in slot first_slot[t] + p
        step = np.repeat(np.arange(len(running)), running)
        place = np.arange(len(step)) - np.repeat(np.cumsum(running) - running, running)
        slot[plan.firsts[places][place] + step] = num_slots + first_slot[step] + place
        groups.append(Group(places, row_class(places.stop - first), blocks, slots))
        num_slots = slots.stop
    return Blocks(groups, slot, num_slots)


def _cut(running: IntArray, stops: Sequence[int]) -> tuple[list[Block], IntArray]:
    """The blocks of a group with `running` (steps,) rows at each step, and the first slot of each step."""
    first_slot = np.empty(len(running), np.intp)
    blocks: list[Block] = []
    step = num_slots = 0
    while step < len(running):
        rows = row_class(int(running[step]))
        next_stop = bisect_right(stops, step)
        end = min(step + STEPS, len(running), *stops[next_stop : next_stop + 1])
        first_slot[step:end] = num_slots + rows * np.arange(end - step)
        blocks.append(Block(rows, slice(num_slots, num_slots + STEPS * rows), end))
        num_slots += STEPS * rows
        step = end
    return blocks, first_slot


def row_class(num_rows: int) -> int:
    """The smallest of ROW_CLASSES that holds `num_rows` rows."""
    return ROW_CLASSES[bisect_left(ROW_CLASSES, num_rows)]
