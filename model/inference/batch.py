"""A batch of requests, prepared for the network: grouped by stream, cut into chunks, and encoded."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import NamedTuple

import numpy as np

from model.config import ModelConfig, Understanding
from model.inference.languages.identifier import MAX_CHARS, shared_identifier
from model.inference.schedule import BoolArray, IntArray, Schedule, schedule, starts_of
from model.inference.state import FloatArray, StreamState, WordState
from model.inference.understanding import known_share, not_understood
from model.text.tokenizer import Tokenizer

NOT_FINITE = "not_finite"
ENGLISH = Understanding()


class Request(NamedTuple):
    """A text of a stream, or a piece of one. The requests of a stream are read in the given order.

    `state` is the stream's state before its first request of the call (None: empty). That of later
    requests is ignored.
    """

    stream: Hashable
    text: str
    final: bool = True
    state: StreamState | None = None


class Batch:
    """Columns of requests, ordered by stream and within a stream as given."""

    def __init__(  # noqa: PLR0913 - the last two have defaults
        self,
        requests: Sequence[Request],
        latest: Mapping[Hashable, StreamState],
        tokenizer: Tokenizer,
        config: ModelConfig,
        understanding: Understanding = ENGLISH,
        *,
        skips_not_understood: bool = False,
    ) -> None:
        """`latest` has the states of streams from earlier batches of the call; they replace the requests' states.

        skips_not_understood: a text that is not understood leaves its stream's state as it was.
        """
        members: dict[Hashable, list[int]] = {}
        for index, request in enumerate(requests):
            members.setdefault(request.stream, []).append(index)
        self._config = config
        self.requests = list(chain.from_iterable(members.values()))  # each request's index in the given order
        num_requests = np.array(list(map(len, members.values())), np.intp)
        self.stream: IntArray = np.repeat(np.arange(len(members)), num_requests)
        self.states, self.carried, was_reset = self._begin(requests, members, latest)  # per stream
        self.resets: list[str | None] = [None] * len(requests)
        for place in starts_of(num_requests)[was_reset].tolist():
            self.resets[place] = NOT_FINITE
        self.texts: list[str] = []  # the pending text and the request's own, without the chunk that is pending after it
        self.num_pending: list[int] = []  # characters that were pending before the request
        self.pending_after: list[str] = []
        self.beginnings: list[str] = []  # the first characters of the request's text so far
        for state, indices in zip(self.states, members.values(), strict=True):
            pending, beginning = (state.open_text.pending, state.open_text.beginning) if state.open_text else ("", "")
            for index in indices:
                _, text, final, _ = requests[index]
                beginning = (beginning + text[:MAX_CHARS])[:MAX_CHARS]
                self.beginnings.append(beginning)
                self.num_pending.append(len(pending))
                text = pending + text
                pending = "" if final else tokenizer.cut_piece("", text, final=False)[1]
                self.texts.append(text[: len(text) - len(pending)])
                self.pending_after.append(pending)
                beginning = "" if final else beginning
        encoded = tokenizer.encode_texts(self.texts)
        self.ids, self.num_chunks, self.chunk_tokens, self.chunk_starts, self.chunk_ends = encoded
        tokens_until = np.concatenate([[0], np.cumsum(self.chunk_tokens)])[np.cumsum(self.num_chunks)]
        self.num_tokens: IntArray = np.diff(tokens_until, prepend=0)
        ends = np.array([requests[index].final for index in self.requests])
        first = np.diff(self.stream, prepend=-1) > 0
        begins_text = first | np.concatenate([[True], ends[:-1]])
        self._count_tokens(tokenizer, begins_text, starts_of(num_requests))
        self.languages = shared_identifier().identify(self.beginnings)
        self.known = list(map(known_share, self.text_tokens, self.text_unknown))
        self.not_understood = list(map(partial(not_understood, understanding), self.known, self.languages))
        steps = ends
        if skips_not_understood:
            steps = ends & np.array([reason is None for reason in self.not_understood])
        self.plan: Schedule = schedule(self.num_tokens, ends, first, steps)
        self._first_rows = self.plan.row[starts_of(num_requests)]

    def _count_tokens(self, tokenizer: Tokenizer, begins_text: BoolArray, firsts: IntArray) -> None:
        """Count the tokens, and the unknown ones, of each request and of its text so far."""
        is_unknown = np.concatenate([[0], np.cumsum(self.ids >= tokenizer.num_words)])
        ends = np.cumsum(self.num_tokens)
        self.num_unknown: IntArray = is_unknown[ends] - is_unknown[ends - self.num_tokens]
        before = np.zeros((2, len(ends)), np.intp)
        for place, state in zip(firsts.tolist(), self.states, strict=True):
            if state.open_text:
                before[:, place] = state.open_text.num_tokens, state.open_text.num_unknown
        row = np.cumsum(begins_text) - 1
        starts = np.flatnonzero(begins_text)
        of_text = []
        for counts, earlier in zip((self.num_tokens, self.num_unknown), before, strict=True):
            until = np.cumsum(counts)
            of_text.append((until - (until - counts)[starts][row] + earlier[starts][row]).tolist())
        self.text_tokens, self.text_unknown = of_text

    def _begin(
        self,
        requests: Sequence[Request],
        members: Mapping[Hashable, Sequence[int]],
        latest: Mapping[Hashable, StreamState],
    ) -> tuple[list[StreamState], FloatArray, BoolArray]:
        """The initial states of the streams, their hidden and cell as one array, and which of them were reset.

        The arrays are (streams, 2, stream size) and (streams,). A stream whose given state is not finite is reset: it
        starts from the empty state.
        """
        empty = StreamState.empty(self._config)
        states = [latest.get(stream) or requests[indices[0]].state or empty for stream, indices in members.items()]
        carried = np.array([state.carried for state in states])
        is_bad: BoolArray = ~np.isfinite(carried).all(axis=(1, 2))
        for stream, state in enumerate(states):
            if state.open_text and not state.open_text.is_finite():
                is_bad[stream] = True
        carried[is_bad] = 0
        for stream in np.flatnonzero(is_bad).tolist():
            states[stream] = empty
        return states, carried, is_bad

    def word_state(self) -> WordState:
        """The word LSTM's initial state at each place of the plan: empty, or that of the stream's open text."""
        places = self.plan.words.place
        state = WordState.empty(len(places), self._config.hidden_size)
        for row, stream_state in zip(self._first_rows.tolist(), self.states, strict=True):
            if stream_state.open_text:
                state.put(places[row], stream_state.open_text)
        return state
