"""Requests in, results out: as many, in the same order, whatever streams, lengths and pieces they mix.

1. group the requests by stream, from the state each stream stands at; cut and encode the texts (`batch.py`)
2. schedule: texts are rows of the word network, a stream's texts are steps of the stream's (`schedule.py`)
3. run the word network over the tokens, then the stream network over the texts that end (`kernels/`)
4. read out the classes, the words at which the running score moved, and the states
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from model.checkpoint import DEFAULT_CHECKPOINT, Checkpoint, load_checkpoint
from model.config import LABELS
from model.inference.batch import Batch, Request
from model.inference.devices import Device, Precision, check_device, make_network
from model.inference.kernels.cpu import WordReadouts
from model.inference.state import FloatArray, StreamState
from model.text.tokenizer import Tokenizer

# requests and characters that run side by side at most: more gain no speed, and they bound the memory of a call
MAX_BATCH_REQUESTS = 512
MAX_BATCH_CHARS = 1 << 20

# around a word, and no part of it when it is shown
_OPENING, _CLOSING = "\"'([\u00ab\u201c\u2018", ".,;:!?\"')]\u00bb\u201d\u2019\u2026"


@dataclass(slots=True)
class Word:
    """`text[start:end]` of the request, and by how much the running score (-1..1) moved when it was read."""

    word: str
    start: int
    end: int
    change: float


@dataclass(slots=True)
class Result:
    """What is known after a request; of a text that goes on, from the chunks that are complete so far."""

    probabilities: tuple[float, float, float]  # negative, neutral, positive: calibrated
    label: str
    score: float  # positive less negative
    confidence: float  # of the label
    words: list[Word]  # at most three, the largest change first
    state: StreamState  # after this request
    reset: str | None  # "not_finite" where the state given could not be used, so that the stream began anew
    num_tokens: int
    num_unknown: int


class InferenceEngine:
    """A checkpoint, ready to read. `score` may run in several threads; the kernels release the interpreter's lock."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        carry: bool = True,
        threads: int = 1,
        precision: Precision = "float32",
        device: Device = "cpu",
    ) -> None:
        self.name = checkpoint.name
        self.fingerprint = checkpoint.fingerprint_in(precision)
        self.config = checkpoint.config
        self._carry = carry
        self._tokenizer = Tokenizer(checkpoint.words, checkpoint.config.num_buckets)
        self._network = make_network(
            checkpoint.config, checkpoint.weights, device=device, precision=precision, threads=threads
        )

    @classmethod
    def load(
        cls,
        path: Path | None = None,
        *,
        carry: bool = True,
        threads: int = 1,
        precision: Precision = "float32",
        device: Device = "cpu",
    ) -> Self:
        """The checkpoint in folder `path`, by default the packaged one. Raises CheckpointError.

        `carry`: let a stream's state bear on its next text. `threads`: of the pass over a batch's tokens. `precision`:
        of the word LSTM's weights; states made in one are never read in another, since their fingerprints differ.
        `device`: of the word network; raises ConfigError, before anything is read, where it cannot be had.
        """
        check_device(device, precision)
        checkpoint = load_checkpoint(path or DEFAULT_CHECKPOINT)
        return cls(checkpoint, carry=carry, threads=threads, precision=precision, device=device)

    def warm_up(self) -> None:
        """Have every loop compiled, so that the first request does not wait for it."""
        self.score([Request("warm-up", "a b")])

    def has_words(self, text: str) -> bool:
        """Whether anything is left of `text` to read after normalising."""
        return self._tokenizer.has_tokens(text)

    def score(self, requests: Sequence[Request]) -> list[Result]:
        """One result for each request, in their order."""
        results: list[Result] = []
        latest: dict[Hashable, StreamState] = {}  # where the streams of the parts before stand
        for part in _bounded(requests):
            scored = self._score_part(part, latest)
            results += scored
            latest.update((request.stream, result.state) for request, result in zip(part, scored, strict=True))
        return results

    def _score_part(self, requests: Sequence[Request], latest: dict[Hashable, StreamState]) -> list[Result]:
        batch = Batch(requests, latest, self._tokenizer, self.config)
        readouts = self._network.read_words(batch.plan, batch.ids, batch.word_state())
        states = self._network.step_streams(batch.plan, readouts, batch.carried)
        addend = self._network.stream_logits(batch.plan, states)
        if not self._carry:
            addend = np.zeros_like(addend)
        probabilities = self._network.probabilities(batch.plan, readouts, addend)
        words = self._words(batch, readouts, addend)
        after = _states_after(batch, readouts, states)
        unknown = np.concatenate([[0], np.cumsum(batch.ids >= self._tokenizer.num_words)])
        starts = batch.plan.token_starts
        columns = zip(
            map(tuple, probabilities.tolist()),
            probabilities.argmax(axis=1).tolist(),
            words,
            after,
            batch.resets,
            batch.num_tokens.tolist(),
            (unknown[starts + batch.num_tokens] - unknown[starts]).tolist(),
            strict=True,
        )
        scored = [
            Result(p, LABELS[label], p[2] - p[0], p[label], found, state, reset, num_tokens, num_unknown)
            for p, label, found, state, reset, num_tokens, num_unknown in columns
        ]
        return [scored[place] for place in np.argsort(batch.requests).tolist()]

    def _words(self, batch: Batch, readouts: WordReadouts, addend: FloatArray) -> list[list[Word]]:
        top, changes = self._network.top_changes(batch.plan, readouts, addend, batch.num_chunks, batch.chunk_tokens)
        columns = (batch.texts, batch.num_pending, batch.chunks, top.tolist(), changes.tolist())
        return list(map(_find_words, *columns))


def _bounded(requests: Sequence[Request]) -> Iterator[Sequence[Request]]:
    """Cut a call into parts that may run as one batch each; a text longer than a part's bound stands alone."""
    begin = num_chars = 0
    for index, request in enumerate(requests):
        num_chars += len(request.text)
        if index > begin and (index - begin == MAX_BATCH_REQUESTS or num_chars > MAX_BATCH_CHARS):
            yield requests[begin:index]
            begin, num_chars = index, len(request.text)
    if begin < len(requests):
        yield requests[begin:]


def _states_after(batch: Batch, readouts: WordReadouts, states: FloatArray) -> list[StreamState]:
    """Where each request leaves its stream. Copies, so that no state keeps the batch in memory."""
    plan = batch.plan
    num_texts = (plan.state_after - plan.state_starts[batch.stream]).tolist()
    after = []
    for place, (stream, at, final, pending) in enumerate(
        zip(batch.stream.tolist(), plan.state_after.tolist(), plan.final.tolist(), batch.pending_after, strict=True)
    ):
        opened = None if final else readouts.state.get(readouts.row[place], pending)
        after.append(StreamState(states[at].copy(), batch.states[stream].num_texts + num_texts[place], opened))
    return after


def _find_words(text: str, num_pending: int, chunks: list[str], numbers: list[int], changes: list[float]) -> list[Word]:
    """The chunks of `text` with these `numbers` (-1: none), as written, without the quotes and stops around them.

    Its first `num_pending` characters came in an earlier piece: they are not shown, and indices count from behind them.
    """
    starts, at = [], 0
    for chunk in chunks[: max(numbers) + 1]:
        starts.append(at := text.index(chunk, at))
        at += len(chunk)
    words = []
    for number, change in zip(numbers, changes, strict=True):
        if number < 0:
            break
        opening, shown = _trimmed(chunks[number])
        start = starts[number] + opening
        end = start + len(shown)
        if start < num_pending:
            start, shown = num_pending, text[num_pending:end]
        if start < end:
            words.append(Word(shown, start - num_pending, end - num_pending, change))
    return words


def _trimmed(chunk: str) -> tuple[int, str]:
    """Quotes and brackets before the word, and it without the stops behind; all of a chunk that is only signs."""
    if chunk.isalnum():
        return 0, chunk
    left = chunk.lstrip(_OPENING)
    inner = left.rstrip(_CLOSING)
    return (len(chunk) - len(left), inner) if any(map(str.isalnum, inner)) else (0, chunk)
