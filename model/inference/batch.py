"""A batch of requests, prepared for the network: grouped by stream, cut into chunks, and encoded."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from model.config import ModelConfig, Understanding
from model.inference.kernels.compiled import compiled
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
        ends = np.array([requests[index].final for index in self.requests])
        firsts = starts_of(num_requests)
        first = np.zeros(len(ends), np.bool_)
        first[firsts] = True
        self._count_tokens(tokenizer.num_words, ends, first, firsts)
        self.languages = shared_identifier().identify(self.beginnings)
        self.known = list(map(known_share, self.text_tokens, self.text_unknown))
        self.not_understood = list(map(partial(not_understood, understanding), self.known, self.languages))
        steps = ends
        if skips_not_understood:
            steps = ends & np.array([reason is None for reason in self.not_understood])
        self.plan: Schedule = schedule(self.num_tokens, ends, first, steps)
        self._first_rows = self.plan.row[starts_of(num_requests)]

    def _count_tokens(self, num_words: int, ends: BoolArray, first: BoolArray, firsts: IntArray) -> None:
        """Count the tokens, and the unknown ones, of each request and of its text so far."""
        counts = np.zeros((4, len(ends)), np.intp)
        for place, state in zip(firsts.tolist(), self.states, strict=True):
            if state.open_text:
                counts[2:, place] = state.open_text.num_tokens, state.open_text.num_unknown
        _count(self.ids, num_words, self.num_chunks, self.chunk_tokens, ends, first, counts)
        self.num_tokens: IntArray = counts[0]
        self.num_unknown: IntArray = counts[1]
        self.text_tokens, self.text_unknown = counts[2:].tolist()

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


@compiled
def _count(  # noqa: PLR0913, PLR0917 - a compiled function takes arrays one by one
    ids: Any, num_words: int, num_chunks: Any, chunk_tokens: Any, ends: Any, first: Any, counts: Any
) -> None:
    """Fill counts (4, requests): tokens and unknown ones of each request, then of its text so far.

    The last two begin with what is there for a stream's first request: the counts of the text that was open.
    """
    chunk = token = 0
    for request in range(num_chunks.shape[0]):
        for _ in range(num_chunks[request]):
            counts[0, request] += chunk_tokens[chunk]
            chunk += 1
        for _ in range(counts[0, request]):
            counts[1, request] += ids[token] >= num_words
            token += 1
        goes_on = not first[request] and not ends[request - 1]
        for kind in range(2):
            counts[2 + kind, request] += counts[kind, request]
            if goes_on:
                counts[2 + kind, request] += counts[2 + kind, request - 1]
