"""A batch of requests as the network reads it: grouped by stream, cut into chunks, encoded."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from model.config import ModelConfig
from model.schedule import IntArray, Schedule, schedule
from model.state import FloatArray, StreamState, WordState
from model.tokenizer import Tokenizer, cut_piece

NOT_FINITE = "not_finite"


class Request(NamedTuple):
    """A text, or a piece of one, in a stream. The requests of a stream are read in the order given.

    `state` is where the stream stands before its first request of the call (None: empty); later ones ignore it.
    """

    stream: Hashable
    text: str
    final: bool = True
    state: StreamState | None = None


class Batch:
    """Columns in reading order: stream after stream, and within a stream as given."""

    def __init__(
        self,
        requests: Sequence[Request],
        latest: Mapping[Hashable, StreamState],
        tokenizer: Tokenizer,
        config: ModelConfig,
    ) -> None:
        """`latest`: where streams stand that were read before, whatever their requests say."""
        members: dict[Hashable, list[int]] = {}
        for index, request in enumerate(requests):
            members.setdefault(request.stream, []).append(index)
        self._config = config
        self.states, was_reset = self._begin(requests, members, latest)  # by stream
        self.resets: list[str | None] = []
        self.requests: list[int] = []  # index of each request among those given
        self.stream: list[int] = []
        self.chunks: list[list[str]] = []
        self.pending_before: list[str] = []
        self.pending_after: list[str] = []
        for stream, (state, indices) in enumerate(zip(self.states, members.values(), strict=True)):
            pending = state.open_text.pending if state.open_text else ""
            for index in indices:
                self.pending_before.append(pending)
                chunks, pending = cut_piece(pending, requests[index].text, requests[index].final)
                self.resets.append(NOT_FINITE if was_reset[stream] and index == indices[0] else None)
                self.requests.append(index)
                self.stream.append(stream)
                self.chunks.append(chunks)
                self.pending_after.append(pending)
        self.ids, self.chunk_tokens = tokenizer.encode_chunks(list(chain.from_iterable(self.chunks)))
        self.num_chunks: IntArray = np.array(list(map(len, self.chunks)), np.intp)
        tokens_until = np.concatenate([[0], np.cumsum(self.chunk_tokens)])[np.cumsum(self.num_chunks)]
        self.num_tokens: IntArray = np.diff(tokens_until, prepend=0)
        stream_of = np.array(self.stream)
        self.plan: Schedule = schedule(
            self.num_tokens,
            final=np.array([requests[index].final for index in self.requests]),
            first=np.diff(stream_of, prepend=-1) > 0,
        )
        self._first_rows = self.plan.row[np.searchsorted(stream_of, np.arange(len(self.states)))]

    def _begin(
        self,
        requests: Sequence[Request],
        members: Mapping[Hashable, Sequence[int]],
        latest: Mapping[Hashable, StreamState],
    ) -> tuple[list[StreamState], list[bool]]:
        """Where each stream begins, and whether that is empty because the state given is not finite."""
        empty = StreamState.empty(self._config)
        given = [latest.get(stream) or requests[indices[0]].state or empty for stream, indices in members.items()]
        is_usable = np.asarray(np.isfinite(_stacked(given)).all(axis=(1, 2)))
        for stream, state in enumerate(given):
            if state.open_text and not state.open_text.is_finite():
                is_usable[stream] = False
        states = [state if usable else empty for state, usable in zip(given, is_usable, strict=True)]
        return states, [not usable for usable in is_usable]

    def carried(self) -> FloatArray:
        """(streams, 2, K): hidden and cell of the stream LSTM at the begin."""
        return _stacked(self.states)

    def word_state(self) -> WordState:
        """The word LSTM at each place of the plan: at the start of a text but where a stream has one open."""
        places = self.plan.words.place
        state = WordState.empty(len(places), self._config.hidden_size)
        for row, stream_state in zip(self._first_rows.tolist(), self.states, strict=True):
            if stream_state.open_text:
                state.put(places[row], stream_state.open_text)
        return state


def _stacked(states: Sequence[StreamState]) -> FloatArray:
    return np.array([state.carried for state in states])
