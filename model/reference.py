"""A second implementation of the network, in plain numpy and double precision: the oracle of the tests.

It shares only the tokenizer, the identifier of languages and the checkpoint with the engine, and reads one text at a
time. Its backward pass is written by hand on top of the LSTM of `cells.py`, and a numerical gradient check tests it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from model.cells import CELLS, Array, LayerWeights, Pass, layer_backward, run_layer
from model.checkpoint import Checkpoint, load_checkpoint
from model.config import LABELS, NUM_POOLED
from model.inference.languages.identifier import MAX_CHARS, shared_identifier
from model.inference.state import OpenText, StreamState

Tensors = dict[str, Array]
Pair = tuple[Array, Array]

LSTM = CELLS["lstm"]


class ReferenceResult(NamedTuple):
    """The output of the reference after one text, or one piece of a text."""

    probabilities: Array  # (classes,)
    score: float
    label: str
    state: StreamState


class ReferenceNetwork:
    """Scores the texts of one stream in order. Slow, but simple enough to check by eye."""

    def __init__(self, checkpoint: Checkpoint, *, carry: bool = True) -> None:
        self.config = checkpoint.config
        self.tensors: Tensors = {name: tensor.astype(np.float64) for name, tensor in checkpoint.weights.items()}
        self._tokenizer = checkpoint.make_tokenizer()
        self._by_language = checkpoint.log_temperature_by_language
        self._carry = carry

    @classmethod
    def load(cls, path: Path | str | None = None, *, carry: bool = True) -> Self:
        """Load the checkpoint at `path`, or the packaged default. Raises CheckpointError if it cannot be loaded."""
        return cls(load_checkpoint(path), carry=carry)

    def read(self, texts: Iterable[tuple[str, bool]], state: StreamState | None = None) -> list[ReferenceResult]:
        """One result for each (text, whether it ends) of a stream that is in `state` (None: empty)."""
        state = state or StreamState.empty(self.config)
        carried = state.carried.astype(np.float64)
        num_texts, opened = state.num_texts, state.open_text
        results = []
        for text, final in texts:
            opened = self._read_piece(opened or self._no_text(), text, final)
            z = _pooled(opened)
            text_logits = self._affine("readout", z)
            logits = self._in_stream(text_logits, carried[0]) if self._carry else text_logits
            temperature = self._temperatures(np.array(opened.num_tokens)) * self._factor(opened.beginning)
            probabilities = softmax(logits / temperature)
            if final:
                u = np.concatenate([np.tanh(self._affine("stream.summary", z)), softmax(text_logits)])
                carried = _lstm(self.tensors, "stream.lstm", u[None], carried).states[-1]
                num_texts, opened = num_texts + 1, None
            after = StreamState(carried.astype(np.float32), num_texts, opened)
            score = float(probabilities[2] - probabilities[0])
            results.append(ReferenceResult(probabilities, score, LABELS[int(probabilities.argmax())], after))
        return results

    def _in_stream(self, text_logits: Array, hidden: Array) -> Array:
        """The logits of a text alone -> in a stream whose LSTM has this hidden state."""
        addend: Array = self.tensors["stream.readout.weight"] @ hidden
        bound = self.config.stream_bound
        if bound is None:
            return text_logits + addend
        negative, _, positive = bound * np.tanh((addend - addend.mean()) / bound)
        tilt = (positive - negative) / 2
        follows = max(text_logits[0] - tilt, text_logits[2] + tilt) - max(text_logits[0], text_logits[2])
        logits: Array = text_logits + np.array([-tilt, follows, tilt])
        return logits

    def _in_stream_backward(self, text_logits: Array, hidden: Array, d_logits: Array, gradients: Tensors) -> Pair:
        """The gradients of both arguments of `_in_stream`. Adds the readout's to `gradients`."""
        weight, bound = self.tensors["stream.readout.weight"], self.config.stream_bound
        addend = weight @ hidden
        d_text, d_addend = d_logits.copy(), d_logits
        if bound is not None:
            bounded = np.tanh((addend - addend.mean()) / bound)
            tilt = bound * (bounded[2] - bounded[0]) / 2
            moved = text_logits + np.array([-tilt, 0, tilt])
            d_moved = np.array([d_logits[0], 0, d_logits[2]])
            d_moved[_larger(moved)] += d_logits[1]
            d_text = np.array([d_moved[0], d_logits[1], d_moved[2]])
            d_text[_larger(text_logits)] -= d_logits[1]
            d_tilt = d_moved[2] - d_moved[0]
            d_centred = np.array([-d_tilt, 0, d_tilt]) / 2 * (1 - bounded**2)
            d_addend = d_centred - d_centred.mean()
        gradients["stream.readout.weight"] += np.outer(d_addend, hidden)
        return d_text, d_addend @ weight

    def _no_text(self) -> OpenText:
        size = self.config.hidden_size
        words = np.stack([np.zeros(size), np.zeros(size), np.full(size, -1.0)])
        return OpenText("", 0, words, np.zeros(size))

    def _read_piece(self, opened: OpenText, text: str, final: bool) -> OpenText:
        chunks, pending = self._tokenizer.cut_piece(opened.pending, text, final)
        ids = np.array([row for chunk in chunks for row in self._tokenizer.chunk_ids(chunk)], np.intp)
        hidden, cell, maximum = opened.words.astype(np.float64)
        inputs = self.tensors["word.embedding.weight"][ids]
        read = _lstm(self.tensors, "word.lstm", inputs, np.stack([hidden, cell]))
        words = np.stack([*read.states[-1], np.max([maximum, *read.outputs], axis=0)])
        beginning = (opened.beginning + text)[:MAX_CHARS]
        total = opened.total + read.outputs.sum(axis=0)
        return OpenText(pending, opened.num_tokens + len(ids), words, total, beginning=beginning)

    def _temperatures(self, num_tokens: Array) -> Array:
        constant, by_length = self.tensors["calibration.log_temperature"]
        temperatures: Array = np.exp(constant + by_length * np.log1p(num_tokens))
        return temperatures

    def _factor(self, beginning: str) -> float:
        """The factor of the temperature for the language of a text that begins so."""
        [language] = shared_identifier().identify([beginning])
        return float(np.exp(self._by_language.get(language.code, 0.0)))

    def _affine(self, name: str, x: Array) -> Array:
        y: Array = x @ self.tensors[f"{name}.weight"].T + self.tensors[f"{name}.bias"]
        return y

    def loss(self, texts: Sequence[Sequence[int]], labels: Sequence[int]) -> float:
        """The summed cross-entropy of a stream's texts, from an empty state. Texts are token ids, none empty."""
        return self.loss_and_gradients(texts, labels)[0]

    def loss_and_gradients(self, texts: Sequence[Sequence[int]], labels: Sequence[int]) -> tuple[float, Tensors]:
        """The loss and its gradient for every tensor. Gradients flow through the stream state into earlier texts."""
        tensors, size = self.tensors, self.config.hidden_size
        targets = np.eye(len(LABELS))[list(labels)]
        gradients = {name: np.zeros_like(tensor) for name, tensor in tensors.items()}

        # Forward: every array has one row per text.
        start = np.zeros((LSTM.num_states, size))
        words = [_lstm(tensors, "word.lstm", tensors["word.embedding.weight"][list(t)], start) for t in texts]
        z = np.stack([np.concatenate([h[-1], h.max(axis=0), h.mean(axis=0)]) for h in (r.outputs for r in words)])
        text_logits = self._affine("readout", z)
        classes = softmax(text_logits)
        summary = np.tanh(self._affine("stream.summary", z))
        start = np.zeros((LSTM.num_states, self.config.stream_size))
        stream = _lstm(tensors, "stream.lstm", np.concatenate([summary, classes], axis=1), start)
        before = stream.states[:-1, 0]
        logits = np.stack([self._in_stream(*pair) for pair in zip(text_logits, before, strict=True)])
        num_tokens = np.array([len(ids) for ids in texts])
        temperature = self._temperatures(num_tokens)[:, None]
        probabilities = softmax(logits / temperature)
        loss = -float(np.log((probabilities * targets).sum(axis=1)).sum())

        # Backward, in reverse order: d_x is the gradient of the loss with respect to x.
        d_scaled = probabilities - targets
        d_log_temperature = -(d_scaled * logits / temperature).sum(axis=1)
        gradients["calibration.log_temperature"] += d_log_temperature.sum(), d_log_temperature @ np.log1p(num_tokens)
        d_logits = d_scaled / temperature
        inputs = zip(text_logits, before, d_logits, strict=True)
        d_pairs = [self._in_stream_backward(*row, gradients) for row in inputs]
        d_text_logits, d_before = (np.stack(arrays) for arrays in zip(*d_pairs, strict=True))
        d_after = np.concatenate([d_before[1:], np.zeros_like(d_before[:1])])  # nothing reads the last state
        d_u = _lstm_backward(tensors, "stream.lstm", stream, d_after, gradients)
        d_summary, d_classes = np.split(d_u, [self.config.summary_size], axis=1)
        d_text_logits += classes * (d_classes - (d_classes * classes).sum(axis=1, keepdims=True))
        d_z = _affine_backward(tensors, "readout", z, d_text_logits, gradients)
        d_z += _affine_backward(tensors, "stream.summary", z, d_summary * (1 - summary**2), gradients)
        for ids, read, (d_last, d_maximum, d_mean) in zip(
            texts, words, d_z.reshape(len(texts), NUM_POOLED, size), strict=True
        ):
            h = read.outputs
            d_hidden = np.tile(d_mean / len(h), (len(h), 1))
            d_hidden[-1] += d_last
            d_hidden[h.argmax(axis=0), np.arange(size)] += d_maximum
            d_inputs = _lstm_backward(tensors, "word.lstm", read, d_hidden, gradients)
            np.add.at(gradients["word.embedding.weight"], list(ids), d_inputs)
        return loss, gradients


def _larger(logits: Array) -> int:
    """The class of the larger one of the negative and the positive logit."""
    return 2 if logits[2] > logits[0] else 0


def softmax(logits: Array) -> Array:
    """The softmax along the last axis."""
    shares: Array = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    return shares


def _lstm_weights(tensors: Tensors, name: str) -> LayerWeights:
    """The weights of LSTM `name`. A checkpoint has one bias, because torch's two only ever act as their sum."""
    bias = tensors[f"{name}.bias"]
    return LayerWeights(tensors[f"{name}.weight_ih"], tensors[f"{name}.weight_hh"], bias, np.zeros_like(bias))


def _lstm(tensors: Tensors, name: str, inputs: Array, state: Array) -> Pass:
    """Run LSTM `name` over inputs (time, inputs) from state (2, cells), which is h and c."""
    return run_layer(LSTM, _lstm_weights(tensors, name), inputs, state)


def _lstm_backward(tensors: Tensors, name: str, run: Pass, d_outputs: Array, gradients: Tensors) -> Array:
    """The gradient of the inputs (time, inputs) from d_outputs (time, cells). Adds the weights' to `gradients`."""
    found = layer_backward(LSTM, _lstm_weights(tensors, name), run, d_outputs)
    [d_weights] = found.weights
    gradients[f"{name}.weight_ih"] += d_weights.weight_ih
    gradients[f"{name}.weight_hh"] += d_weights.weight_hh
    gradients[f"{name}.bias"] += d_weights.bias_ih
    return found.inputs


def _affine_backward(tensors: Tensors, name: str, x: Array, d_y: Array, gradients: Tensors) -> Array:
    gradients[f"{name}.weight"] += d_y.T @ x
    gradients[f"{name}.bias"] += d_y.sum(axis=0)
    d_x: Array = d_y @ tensors[f"{name}.weight"]
    return d_x


def _pooled(text: OpenText) -> Array:
    if text.num_tokens == 0:
        return np.zeros(NUM_POOLED * len(text.total))
    return np.concatenate([text.words[0], text.words[2], text.total / text.num_tokens])
