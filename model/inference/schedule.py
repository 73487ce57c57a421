"""Which row runs at which step, and where each request is read out: plain index arithmetic on a whole batch.

The requests of a batch come ordered by stream. A *row* is one text: the pieces of a text that are in the same batch
follow one another in one row, which is then read out several times. All rows of all streams run side by side,
the longest first, so that the rows still running are always the first ones and nothing is padded. The stream LSTM runs
on the same plan, where a row is a stream and a step one of its texts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Rows of unequal length, longest first."""

    order: IntArray  # (rows,): the row that runs at each place
    place: IntArray  # (rows,): where a row runs; the inverse of `order`
    firsts: IntArray  # (rows,): index of the first input of the row at each place, where inputs lie row after row
    num_active: list[int]  # per step: rows that have an input for it


def plan_rows(lengths: IntArray) -> Plan:
    """A plan for rows with `lengths` inputs each, which may be zero."""
    order = np.argsort(-lengths, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    longest = int(lengths.max(initial=0))
    ending = np.bincount(lengths, minlength=longest + 1)  # rows that end before step t
    num_active = len(lengths) - np.cumsum(ending)[:longest]
    return Plan(order, place, starts_of(lengths)[order], num_active.tolist())


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """A batch of requests, ordered by stream and within a stream by time; every array but `state_starts` has one each.

    Logits are kept for every token, row after row, and behind them for every row those it begins with.
    A stream's states lie one after the other: the one it came with, then one for each of its texts that ends here.
    """

    words: Plan  # rows are texts, inputs tokens
    streams: Plan  # rows are streams, inputs texts that end
    num_tokens: int  # of the batch
    row: IntArray  # the row that the request is in
    position: IntArray  # tokens of the row read when the request has been read
    at_end: BoolArray  # whether these are all of its row
    token_starts: IntArray  # index of its first token
    logits_before: IntArray  # index of the logits before its tokens
    logits_after: IntArray  # and after them
    final: BoolArray  # whether it ends its text
    state_before: IntArray  # index of the stream's state before the request's text
    state_starts: IntArray  # (streams,): index of the state that each stream came with

    @property
    def state_after(self) -> IntArray:
        """Index of the stream's state after each request."""
        return self.state_before + self.final

    def inner_readouts(self) -> dict[int, IntArray]:
        """Position -> requests to be read out there, in the middle of a row that goes on."""
        inner = np.flatnonzero(~self.at_end)
        positions = self.position[inner]
        return {int(position): inner[positions == position] for position in np.unique(positions)}


def schedule(num_tokens: IntArray, final: BoolArray, first: BoolArray) -> Schedule:
    """Lay out requests of `num_tokens` tokens each; `final`: ends its text; `first`: of its stream in this batch."""
    begins_row = first | np.concatenate([[True], final[:-1]])
    row = np.cumsum(begins_row) - 1
    lengths = np.bincount(row, num_tokens).astype(np.intp)
    stream = np.cumsum(first) - 1
    num_texts = np.bincount(stream, final).astype(np.intp)  # that end here, per stream
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
        state_before=np.cumsum(final) - final + stream,
        state_starts=starts_of(num_texts + 1),
    )


def starts_of(lengths: IntArray) -> IntArray:
    """Where each of several runs begins that lie one after the other."""
    return np.cumsum(lengths) - lengths
