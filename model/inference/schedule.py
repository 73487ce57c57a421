"""The schedule of a batch: which row runs at which step, and where each request is read out.

Plain index arithmetic, compiled because a call of numpy for each line would be most of what a small batch costs.

The requests of a batch are ordered by stream. A *row* of the word LSTM is one text. Pieces of a text in the same batch
share a row, which is then read out several times. All rows run side by side, the longest first, so the rows that are
still running are always the first ones and nothing is padded. The stream LSTM runs on the same kind of plan: a row is a
stream and a step is one of its texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.inference.kernels.compiled import compiled

IntArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class RowPlan:
    """Rows of unequal length, longest first."""

    order: IntArray  # (rows,): the row at each place
    place: IntArray  # (rows,): the place of each row; the inverse of `order`
    firsts: IntArray  # (rows,): index of the first input of the row at each place; inputs are stored row after row
    num_active: IntArray  # (steps,): the number of rows that have an input


def plan_rows(lengths: IntArray) -> RowPlan:
    """A plan for rows of `lengths` (rows,) inputs each, which may be zero."""
    columns = np.empty((3, len(lengths)), np.intp)
    num_active = _plan(lengths, columns)
    return RowPlan(order=columns[0], place=columns[1], firsts=columns[2], num_active=num_active)


@compiled
def _plan(lengths: Any, columns: Any) -> Any:
    """Fill order, place and firsts (3, rows) of a plan, and return num_active (steps,): a stable counting sort."""
    num_rows, longest = lengths.shape[0], 0
    for row in range(num_rows):
        longest = max(longest, lengths[row])
    longer = np.zeros(longest + 1, np.intp)  # than each length: rows
    for row in range(num_rows):
        longer[lengths[row]] += 1
    until = num_rows
    for length in range(longest + 1):
        until -= longer[length]
        longer[length] = until
    num_active = longer[:longest].copy()
    begin = 0
    for row in range(num_rows):
        place = longer[lengths[row]]
        longer[lengths[row]] += 1
        columns[0, place], columns[1, row], columns[2, place] = row, place, begin
        begin += lengths[row]
    return num_active


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
        if self.at_end.all():
            return {}
        inner = np.flatnonzero(~self.at_end)
        positions = self.position[inner]
        return {int(position): inner[positions == position] for position in np.unique(positions)}


def schedule(num_tokens: IntArray, final: BoolArray, first: BoolArray, steps: BoolArray | None = None) -> Schedule:
    """Schedule requests that are ordered by stream. All arguments are (requests,).

    num_tokens: tokens of the request. final: whether it ends its text. first: whether it is its stream's first request.
    steps: whether it ends a text that the stream LSTM reads; None: every text that ends.
    """
    columns, at_end = np.empty((8, len(num_tokens)), np.intp), np.empty(len(num_tokens), np.bool_)
    num_rows, num_streams = _schedule(num_tokens, final, first, final if steps is None else steps, columns, at_end)
    row, position, starts, before, after, state_before, lengths, num_texts = columns
    return Schedule(
        words=plan_rows(lengths[:num_rows]),
        streams=plan_rows(num_texts[:num_streams]),
        num_tokens=int(starts[-1] + num_tokens[-1]),
        row=row,
        position=position,
        at_end=at_end,
        token_starts=starts,
        logits_before=before,
        logits_after=after,
        final=final,
        steps=final if steps is None else steps,
        state_before=state_before,
        state_starts=starts_of(num_texts[:num_streams] + 1),
    )


@compiled
def _schedule(  # noqa: PLR0913, PLR0917 - a compiled function takes arrays one by one
    num_tokens: Any, final: Any, first: Any, steps: Any, columns: Any, at_end: Any
) -> Any:
    """Fill the requests' columns of `Schedule` and, in the last two, tokens of each row and texts of each stream.

    Returns the numbers of rows and streams.
    """
    row, position, starts, before = columns[0], columns[1], columns[2], columns[3]
    after, state_before, lengths, num_texts = columns[4], columns[5], columns[6], columns[7]
    num_requests, total, at_row, at_stream, num_states = num_tokens.shape[0], 0, -1, -1, 0
    for request in range(num_requests):
        if first[request]:
            at_stream += 1
            num_texts[at_stream] = 0
        if request == 0 or first[request] or final[request - 1]:
            at_row += 1
            lengths[at_row] = 0
        starts[request] = total
        total += num_tokens[request]
        lengths[at_row] += num_tokens[request]
        row[request], position[request] = at_row, lengths[at_row]
        state_before[request] = num_states + at_stream
        num_states += steps[request]
        num_texts[at_stream] += steps[request]
    for request in range(num_requests):
        at_end[request] = position[request] == lengths[row[request]]
        begun = position[request] > num_tokens[request]
        before[request] = starts[request] - 1 if begun else total + row[request]
        ends = starts[request] + num_tokens[request] - 1
        after[request] = ends if position[request] > 0 else total + row[request]
    return at_row + 1, at_stream + 1


def starts_of(lengths: IntArray) -> IntArray:
    """The start index of each of several consecutive runs of these lengths."""
    starts: IntArray = lengths.cumsum() - lengths
    return starts
