"""Scores requests: one result per request, in the same order, for any mix of streams, lengths and pieces.

1. group the requests by stream; cut and encode their texts (`batch.py`)
2. schedule them: a text is a row of the word LSTM, a stream is a row of the stream LSTM (`schedule.py`)
3. run the word LSTM over the tokens, then the stream LSTM over the texts that end (`kernels/`)
4. read out class probabilities, the words that moved the running score most, and the new states
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from model.checkpoint import Checkpoint, load_checkpoint
from model.config import LABELS
from model.inference.batch import Batch, Request
from model.inference.calibration import Calibration, DoubleArray
from model.inference.devices import Device, Precision, check_device, make_network
from model.inference.kernels.cpu import WordReadouts
from model.inference.languages.identifier import NO_LANGUAGE, Language
from model.inference.schedule import starts_of
from model.inference.state import FloatArray, StreamState
from model.inference.understanding import CHANCE, NotUnderstood
from model.inference.words import Word, shown_word

# Limits of one batch. Larger ones are no faster, and the limits bound the memory of a call.
MAX_BATCH_REQUESTS = 512
MAX_BATCH_CHARS = 1 << 20


@dataclass(slots=True)
class Result:
    """The result of a request. For a text that goes on, it covers the chunks that are complete so far."""

    probabilities: tuple[float, float, float]  # negative, neutral, positive; calibrated
    label: str
    score: float  # -1..1: positive minus negative
    confidence: float  # probability of the label; at most CHANCE where the text is not understood
    words: list[Word]  # at most three, the largest change first
    state: StreamState  # after this request
    reset: str | None  # "not_finite" if the given state was unusable and the stream restarted from an empty one
    num_tokens: int
    num_unknown: int
    language: Language = NO_LANGUAGE  # of the text so far
    known: float = 1.0  # share of the tokens of the text so far that the network knows
    not_understood: NotUnderstood | None = None  # why the text so far is not to be relied on

    @property
    def understood(self) -> bool:
        """Whether the result can be relied on."""
        return self.not_understood is None


class InferenceEngine:
    """Scores texts with a checkpoint. Safe to use from several threads; the kernels release the GIL."""

    def __init__(  # noqa: PLR0913 - all but the checkpoint have defaults
        self,
        checkpoint: Checkpoint,
        *,
        carry: bool = True,
        skips_not_understood: bool = False,
        threads: int = 1,
        precision: Precision = "float32",
        device: Device = "cpu",
    ) -> None:
        self.name = checkpoint.name
        self.understanding = checkpoint.understanding
        self._skips_not_understood = skips_not_understood
        self.fingerprint = checkpoint.fingerprint_in(precision)
        self.config = checkpoint.config
        self._carry = carry
        self._tokenizer = checkpoint.make_tokenizer()
        self._calibration = Calibration(
            checkpoint.weights["calibration.log_temperature"], checkpoint.log_temperature_by_language
        )
        self._network = make_network(
            checkpoint.config, checkpoint.weights, device=device, precision=precision, threads=threads
        )

    @classmethod
    def load(  # noqa: PLR0913 - all have defaults
        cls,
        path: Path | str | None = None,
        *,
        carry: bool = True,
        skips_not_understood: bool = False,
        threads: int = 1,
        precision: Precision = "float32",
        device: Device = "cpu",
    ) -> Self:
        """Load the checkpoint at `path`, or the packaged one of that name; None is the packaged default.

        carry: whether a stream's state affects its next text. skips_not_understood: whether a text that is not
        understood leaves its stream's state as it was. threads: of the pass over a batch's tokens. precision: of
        the word LSTM's weights; states of one precision cannot be read in another, because their fingerprints differ.
        device: where the word LSTM runs.

        Raises ConfigError if the device or precision is not available, before it reads the checkpoint;
        CheckpointError if the checkpoint cannot be loaded.
        """
        check_device(device, precision)
        checkpoint = load_checkpoint(path)
        return cls(
            checkpoint,
            carry=carry,
            skips_not_understood=skips_not_understood,
            threads=threads,
            precision=precision,
            device=device,
        )

    def warm_up(self) -> None:
        """Compile every loop, so that the first request does not wait for it."""
        self.score([Request("warm-up", "a b")])

    def cut(self, text: str) -> list[str]:
        """The chunks of a whole text: words with the signs around them, or pieces of scripts without spaces."""
        return self._tokenizer.cut(text)

    def has_words(self, text: str) -> bool:
        """Whether `text` has any tokens after normalising."""
        return self._tokenizer.has_tokens(text)

    def score(self, requests: Sequence[Request]) -> list[Result]:
        """One result for each request, in the same order."""
        results: list[Result] = []
        latest: dict[Hashable, StreamState] = {}  # states of streams from earlier batches of this call
        for batch in _split_into_batches(requests):
            scored = self._score_batch(batch, latest)
            results += scored
            latest.update((request.stream, result.state) for request, result in zip(batch, scored, strict=True))
        return results

    def _score_batch(self, requests: Sequence[Request], latest: dict[Hashable, StreamState]) -> list[Result]:
        batch = Batch(
            requests,
            latest,
            self._tokenizer,
            self.config,
            self.understanding,
            skips_not_understood=self._skips_not_understood,
        )
        readouts = self._network.read_words(batch.plan, batch.ids, batch.word_state())
        states = self._network.step_streams(batch.plan, readouts, batch.carried)
        addend = self._network.stream_logits(batch.plan, states)
        if not self._carry:
            addend = np.zeros_like(addend)
        temperatures = self._calibration.temperatures(
            readouts.num_tokens, (language.code for language in batch.languages)
        )
        probabilities = self._network.probabilities(batch.plan, readouts, addend, temperatures)
        words = self._words(batch, readouts, addend, temperatures)
        after = _states_after(batch, readouts, states)
        columns = zip(
            map(tuple, probabilities.tolist()),
            probabilities.argmax(axis=1).tolist(),
            words,
            after,
            batch.resets,
            batch.num_tokens.tolist(),
            batch.num_unknown.tolist(),
            batch.languages,
            batch.known,
            batch.not_understood,
            strict=True,
        )
        scored = [
            Result(
                p,
                LABELS[label],
                p[2] - p[0],
                p[label] if reason is None else min(p[label], CHANCE),
                found,
                state,
                reset,
                num_tokens,
                num_unknown,
                language,
                known,
                reason,
            )
            for p, label, found, state, reset, num_tokens, num_unknown, language, known, reason in columns
        ]
        return [scored[place] for place in np.argsort(batch.requests).tolist()]

    def _words(
        self, batch: Batch, readouts: WordReadouts, addend: FloatArray, temperatures: DoubleArray
    ) -> list[list[Word]]:
        top, changes = self._network.top_changes(
            batch.plan, readouts, addend, temperatures, batch.num_chunks, batch.chunk_tokens
        )
        request, column = np.nonzero(top >= 0)
        chunk = starts_of(batch.num_chunks)[request] + top[request, column]
        found: list[list[Word]] = [[] for _ in batch.texts]
        spans = (request, batch.chunk_starts[chunk], batch.chunk_ends[chunk], changes[request, column])
        for place, start, end, change in zip(*(values.tolist() for values in spans), strict=True):
            word = shown_word(batch.texts[place], start, end, batch.num_pending[place], change)
            if word is not None:
                found[place].append(word)
        return found


def _split_into_batches(requests: Sequence[Request]) -> Iterator[Sequence[Request]]:
    """Split a call into batches within the limits. A text of more than MAX_BATCH_CHARS is a batch of its own."""
    begin = num_chars = 0
    for index, request in enumerate(requests):
        num_chars += len(request.text)
        if index > begin and (index - begin == MAX_BATCH_REQUESTS or num_chars > MAX_BATCH_CHARS):
            yield requests[begin:index]
            begin, num_chars = index, len(request.text)
    if begin < len(requests):
        yield requests[begin:]


def _states_after(batch: Batch, readouts: WordReadouts, states: FloatArray) -> list[StreamState]:
    """The stream's state after each request. States are copies, so that none keeps the batch in memory."""
    plan = batch.plan
    num_texts = (plan.state_after - plan.state_starts[batch.stream]).tolist()
    after = []
    for place, (stream, at, final, pending) in enumerate(
        zip(batch.stream.tolist(), plan.state_after.tolist(), plan.final.tolist(), batch.pending_after, strict=True)
    ):
        opened = None
        if not final:
            unknown, beginning = batch.text_unknown[place], batch.beginnings[place]
            opened = readouts.state.get(readouts.row[place], pending, unknown, beginning)
        after.append(StreamState(states[at].copy(), batch.states[stream].num_texts + num_texts[place], opened))
    return after
