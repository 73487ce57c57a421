"""A plan cut into blocks of few sizes, because a captured graph repeats its kernels with the shapes it was captured in.

A block is STEPS steps of as many rows as the next larger size class has. What it computes beyond the plan is masked:
a *slot* is one row at one step of a block, and a slot without a token changes nothing. Plain numpy.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from model.inference.schedule import IntArray, RowPlan

STEPS = 8  # of a block: fewer waste less at the end of the rows, more launch fewer graphs
ROW_CLASSES = (1, 8, 32, 64, 128, 256, 512, 768, 1024)
MAX_ROWS = ROW_CLASSES[-1]  # side by side; more rows are read group after group


@dataclass(frozen=True, slots=True)
class Block:
    """Some steps of the rows of a group that still run then, and padding."""

    rows: int  # one of ROW_CLASSES
    slots: slice  # of the group's; step after step, and within a step row after row
    end: int  # the step after its last


@dataclass(frozen=True, slots=True)
class Group:
    """Places of a plan that are read together."""

    places: slice
    rows: int  # the class that holds them
    blocks: list[Block]
    slots: slice  # of all slots

    @property
    def end(self) -> int:
        """The step after its last."""
        return self.blocks[-1].end if self.blocks else 0


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """A plan in blocks."""

    groups: list[Group]
    slot: IntArray  # (tokens,): where each token is read
    num_slots: int


def cut_into_blocks(plan: RowPlan, stops: Iterable[int] = ()) -> Blocks:
    """`stops`: steps before which a block has to end, because rows are looked at there."""
    active = np.array(plan.num_active, np.intp)
    slot = np.empty(active.sum(), np.intp)
    ordered_stops, num_slots = sorted(stops), 0
    groups: list[Group] = []
    for first in range(0, len(plan.order), MAX_ROWS):
        places = slice(first, min(first + MAX_ROWS, len(plan.order)))
        running = np.minimum(active[active > first], places.stop) - first  # per step: rows of this group
        blocks, first_slot = _cut(running, ordered_stops)
        slots = slice(num_slots, blocks[-1].slots.stop + num_slots if blocks else num_slots)
        # row at place p reads its token t in slot first_slot[t] + p
        step = np.repeat(np.arange(len(running)), running)
        place = np.arange(len(step)) - np.repeat(np.cumsum(running) - running, running)
        slot[plan.firsts[places][place] + step] = num_slots + first_slot[step] + place
        groups.append(Group(places, row_class(places.stop - first), blocks, slots))
        num_slots = slots.stop
    return Blocks(groups, slot, num_slots)


def _cut(running: IntArray, stops: Sequence[int]) -> tuple[list[Block], IntArray]:
    """Blocks of steps at which so many rows run, and the first slot of each step."""
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
    """The smallest class that holds so many rows."""
    return ROW_CLASSES[bisect_left(ROW_CLASSES, num_rows)]
