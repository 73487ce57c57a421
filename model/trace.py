"""What the word LSTM does with each word of a text: the running score, and the gates and cells behind it.

The scores are the engine's, and so those of events; the gates are computed beside it in plain numpy (cells.py), from
the same weights. Names and formulas of the gates: Hochreiter and Schmidhuber 1997, Gers et al. 2000.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.cells import CELLS, LayerWeights, run_layer
from model.checkpoint import EMBEDDING, load_checkpoint
from model.inference.engine import InferenceEngine, Result
from model.sentiment import Sentiment

GATES = ("input", "forget", "candidate", "output")

_WORD = re.compile(r"\s*\S+\s*")


class TraceStep(NamedTuple):
    """The network after a word. gates: (4, hidden size), in the order of GATES, at the word's last token."""

    word: str
    score: float  # -1..1
    change: float  # of the score
    gates: NDArray[np.float32]
    cell: NDArray[np.float32]  # (hidden size,)


class Trace(NamedTuple):
    """The steps of a text, its result, and the state that its stream is in afterwards."""

    steps: list[TraceStep]
    result: Result
    state: bytes


class Tracer:
    """Traces texts with one checkpoint. Safe to share by threads."""

    def __init__(self, path: Path | str | None = None) -> None:
        """Load the checkpoint at `path`, or the packaged one. Raises CheckpointError."""
        checkpoint = load_checkpoint(path)
        self.sentiment = Sentiment(InferenceEngine(checkpoint))
        self._embedding = checkpoint.weights[EMBEDDING]
        names = ("weight_ih", "weight_hh", "bias")
        inputs, recurrent, bias = (checkpoint.weights[f"word.lstm.{name}"].astype(np.float64) for name in names)
        self._lstm = LayerWeights(inputs, recurrent, bias, np.zeros_like(bias))
        self._tokenizer = checkpoint.make_tokenizer()

    def read(self, text: str, state: bytes | None = None) -> Trace:
        """Read a whole text on a stream in `state` (None: one that has read nothing).

        Raises StateError if `state` is damaged or was made by another network.
        """
        stream = self.sentiment.stream(state)
        words = _WORD.findall(text)
        size = self._lstm.weight_hh.shape[1]
        lstm_state, gates = np.zeros((2, size)), np.zeros((len(GATES), size))
        steps: list[TraceStep] = []
        before = self.sentiment.stream(state).end().score  # of no words: what the stream alone expects
        result = None
        for number, word in enumerate(words):
            is_last = number == len(words) - 1
            result = stream.read(word) if is_last else stream.feed(word if word[-1].isspace() else word + " ")
            ids = [row for chunk in self._tokenizer.cut(word) for row in self._tokenizer.chunk_ids(chunk)]
            if ids:
                run = run_layer(CELLS["lstm"], self._lstm, self._embedding[ids].astype(np.float64), lstm_state)
                lstm_state, gates = run.states[-1], run.kept[-1]
            floats = gates.astype(np.float32), lstm_state[1].astype(np.float32)
            steps.append(TraceStep(word.strip(), result.score, result.score - before, *floats))
            before = result.score
        return Trace(steps, result or stream.end(), stream.state)
