"""The schedule of a batch: which row runs at which step, and where each request is read out. Plain index arithmetic.

The requests of a batch are ordered by stream. A *row* of the word LSTM is one text. Pieces of a text in the same batch
share a row, which is then read out several times. All rows run side by side, the longest first, so the rows that are
still running are always the first ones and nothing is padded. The stream LSTM runs on the same kind of plan: a row is a
stream and a step is one of its texts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class RowPlan:
    """Rows of unequal length, longest first."""

    order: IntArray  # (rows,): the row at each place
    place: IntArray  # (rows,): the place of each row; the inverse of `order`
    firsts: IntArray  # (rows,): index of the first input of the row at each place; inputs are stored row after row
    num_active: list[int]  # per step: the number of rows that have an input


def plan_rows(lengths: IntArray) -> RowPlan:
    """A plan for rows of `lengths` (rows,) inputs each, which may be zero."""
    order = np.argsort(-lengths, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    longest = int(lengths.max(initial=0))
    ending = np.bincount(lengths, minlength=longest + 1)  # per step: the number of rows that end before it
    num_active = len(lengths) - np.cumsum(ending)[:longest]
    return RowPlan(order, place, starts_of(lengths)[order], num_active.tolist())


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """The schedule of a batch. Requests are ordered by stream; all arrays are (requests,) except `state_starts`.

    The logits array holds the logits after every token, row after row, then the initial logits of every row. The states
    array holds, for each stream, the state it came with, then the state after each of its texts that ends in the batch.
    """

    words: RowPlan  # rows are texts, inputs are tokens
    streams: RowPlan  # rows are streams, inputs are texts that end
    num_tokens: int  # in the batch
    row: IntArray  # the request's row
    position: IntArray  # tokens of its row up to the end of the request
    at_end: BoolArray  # whether the request is the last one of its row
    token_starts: IntArray  # index of the request's first token
    logits_before: IntArray  # index of the logits before its tokens
    logits_after: IntArray  # index of the logits after its tokens
    final: BoolArray  # whether the request ends its text
    steps: BoolArray  # whether it ends a text that the stream LSTM reads
    state_before: IntArray  # index of the stream's state before the text
    state_starts: IntArray  # (streams,): index of the state that each stream came with

    @property
    def state_after(self) -> IntArray:
        """Index of the stream's state after each request."""
        return self.state_before + self.steps

    def inner_readouts(self) -> dict[int, IntArray]:
        """Position -> requests that are read out there, before the end of their row."""
        inner = np.flatnonzero(~self.at_end)
        positions = self.position[inner]
        return {int(position): inner[positions == position] for position in np.unique(positions)}


def schedule(num_tokens: IntArray, final: BoolArray, first: BoolArray, steps: BoolArray | None = None) -> Schedule:
    """Schedule requests that are ordered by stream. All arguments are (requests,).

    num_tokens: tokens of the request. final: whether it ends its text. first: whether it is its stream's first request.
    steps: whether it ends a text that the stream LSTM reads; None: every text that ends.
    """
    if steps is None:
        steps = final
    begins_row = first | np.concatenate([[True], final[:-1]])
    row = np.cumsum(begins_row) - 1
    lengths = np.bincount(row, num_tokens).astype(np.intp)
    stream = np.cumsum(first) - 1
    num_texts = np.bincount(stream, steps).astype(np.intp)  # per stream: texts that its LSTM reads
    ends = np.cumsum(num_tokens)
    starts = ends - num_tokens
    total = int(ends[-1])
    position = ends - starts_of(lengths)[row]
    return Schedule(
        words=plan_rows(lengths),
        streams=plan_rows(num_texts),
        num_tokens=total,
        row=row,
        position=position,
        at_end=position == lengths[row],
        token_starts=starts,
        logits_before=np.where(position > num_tokens, starts - 1, total + row),
        logits_after=np.where(position > 0, ends - 1, total + row),
        final=final,
        steps=steps,
        state_before=np.cumsum(steps) - steps + stream,
        state_starts=starts_of(num_texts + 1),
    )


def starts_of(lengths: IntArray) -> IntArray:
    """The start index of each of several consecutive runs of these lengths."""
    return np.cumsum(lengths) - lengths
