"""The network on the CPU: one compiled pass over the tokens of a batch, one over the texts of its streams.

Input weights, bias and embedding are folded once into a table of one (4H,) row per vocabulary row, so that a token
costs a gather and half the products. Nothing is padded: at every step the rows still running are the first ones.
No sum depends on which texts share a batch: a whole text gives the same bits alone and among others.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.config import NUM_CLASSES, NUM_GATES, NUM_POOLED, ModelConfig
from model.inference.calibration import temperatures
from model.inference.kernels import gates, passes
from model.inference.kernels.products import AffineMap, affine, pack
from model.inference.kernels.recurrence import CpuPrecision, Recurrence, Table, padded_shape
from model.inference.schedule import IntArray, Schedule
from model.inference.state import DoubleArray, FloatArray, WordState


@dataclass(frozen=True, slots=True, eq=False)
class WordReadouts:
    """What the word network made of a batch of requests."""

    state: WordState  # the word LSTM after the requests
    row: IntArray  # (requests,): the row of `state` that is a request's
    logits: FloatArray  # (tokens + rows, 3), of the text alone, where the schedule says

    @property
    def num_tokens(self) -> IntArray:
        """(requests,): of the text so far."""
        return self.state.num_tokens[self.row]


class CpuNetwork:
    """The forward pass of a checkpoint. Safe to use from several threads."""

    def __init__(
        self,
        config: ModelConfig,
        weights: Mapping[str, FloatArray],
        *,
        precision: CpuPrecision = "float32",
        threads: int = 1,
    ) -> None:
        """`precision` of the word LSTM's weights, see `recurrence.py`; `threads` of the pass over a batch's tokens."""
        self._hidden_size = config.hidden_size
        self._threads = threads
        table = Table(
            weights["word.embedding.weight"],
            _halve_sigmoids(weights["word.lstm.weight_ih"].T),
            _halve_sigmoids(weights["word.lstm.bias"]),
        )
        self._recurrence = Recurrence.of(_halve_sigmoids(weights["word.lstm.weight_hh"].T), table, precision)
        # (3 pools, 3 classes, H) as (9, H)
        readout = weights["readout.weight"].reshape(NUM_CLASSES, NUM_POOLED, config.hidden_size).transpose(1, 0, 2)
        self._readout = np.ascontiguousarray(readout).reshape(-1, config.hidden_size)
        self._readout_bias = weights["readout.bias"]
        self._summary = AffineMap(weights["stream.summary.weight"].T, weights["stream.summary.bias"])
        self._stream_input = AffineMap(
            _halve_sigmoids(weights["stream.lstm.weight_ih"].T), _halve_sigmoids(weights["stream.lstm.bias"])
        )
        self._stream_recurrence = pack(_halve_sigmoids(weights["stream.lstm.weight_hh"].T), np.dtype(np.float32))
        self._stream_readout = np.ascontiguousarray(weights["stream.readout.weight"].T)
        self._log_temperature = weights["calibration.log_temperature"]

    def read_words(self, plan: Schedule, ids: IntArray, state: WordState) -> WordReadouts:
        """Run the word LSTM. `ids`: token after token; `state`: where the row at each place begins, overwritten."""
        hidden, cell, maximum = state.words
        places = plan.words.place[plan.row]
        begin_logits, mean_logits = self._begin_logits(state)
        logits = np.empty((plan.num_tokens + len(hidden), NUM_CLASSES), np.float32)
        logits[plan.num_tokens + plan.words.order] = begin_logits
        inner = plan.inner_readouts()
        taken = WordState.empty(len(plan.row), self._hidden_size) if inner else state
        num_active = np.array(plan.words.num_active, np.intp)
        operand = self._recurrence.operand(hidden)
        step = 0
        for until in (*sorted(inner), len(num_active)):
            if until > step:
                arrays = (
                    step,
                    num_active[step:until],
                    plan.words.firsts,
                    ids,
                    *self._recurrence.tensors,
                    hidden,
                    cell,
                    maximum,
                    state.total,
                    state.num_tokens,
                    mean_logits,
                    self._readout,
                    self._readout_bias,
                    operand,
                    logits,
                )
                self._each_group(int(num_active[step]), arrays)
            if until in inner:
                taken.copy_rows(inner[until], state, places[inner[until]])
            step = until
        if not inner:
            return WordReadouts(state, places, logits)
        at_end = np.flatnonzero(plan.at_end)
        taken.copy_rows(at_end, state, places[at_end])
        return WordReadouts(taken, np.arange(len(plan.row)), logits)

    def _each_group(self, num_rows: int, arrays: tuple[Any, ...]) -> None:
        """One pass for each group of rows, in as many threads as there may be."""
        firsts = range(0, num_rows, passes.GROUP)
        if self._threads == 1 or len(firsts) == 1:
            for first in firsts:
                passes.read_tokens(first, *arrays)
        else:
            with ThreadPoolExecutor(self._threads) as pool:
                list(pool.map(lambda first: passes.read_tokens(first, *arrays), firsts))

    def _begin_logits(self, state: WordState) -> tuple[FloatArray, DoubleArray]:
        """(rows, 3) of the text so far, which for most rows is nothing, and (rows, 3) the mean's part, not divided."""
        logits = np.tile(self._readout_bias, (len(state.num_tokens), 1))
        mean_logits = np.zeros(logits.shape)
        begun = np.flatnonzero(state.num_tokens)
        if len(begun):
            last_readout, maximum_readout, mean_readout = np.split(self._readout, NUM_POOLED)
            mean_logits[begun] = affine(state.total[begun], mean_readout.T.astype(np.float64), np.zeros(NUM_CLASSES))
            hidden, _, maximum = state.words[:, begun]
            pools = np.concatenate([hidden, maximum], axis=1)
            readout = np.concatenate([last_readout, maximum_readout], axis=1).T.copy()
            mean = mean_logits[begun] / state.num_tokens[begun, None]
            logits[begun] = affine(pools, readout, self._readout_bias) + mean
        return logits, mean_logits

    def step_streams(self, plan: Schedule, readouts: WordReadouts, carried: FloatArray) -> FloatArray:
        """(streams, 2, K) that the streams came with -> (states, 2, K): all their states, as the schedule lays them."""
        texts = np.flatnonzero(plan.final)
        states = np.empty((len(carried) + len(texts), *carried.shape[1:]), np.float32)
        states[plan.state_starts] = carried
        summary = self._summarise(readouts, texts)
        classes = softmax(readouts.logits[plan.logits_after[texts]]).astype(np.float32)
        inputs = self._stream_input(np.concatenate([summary, classes], axis=1))
        hidden, cell = carried[plan.streams.order].transpose(1, 0, 2).copy()
        passes.step_texts(
            np.array(plan.streams.num_active, np.intp),
            plan.streams.firsts,
            inputs.reshape(len(texts), NUM_GATES, hidden.shape[1]),
            self._stream_recurrence,
            np.zeros(padded_shape(self._stream_recurrence), np.float32),
            hidden,
            cell,
            plan.state_starts[plan.streams.order],
            states,
        )
        return states

    def _summarise(self, readouts: WordReadouts, texts: IntArray) -> FloatArray:
        """(texts, S): what the stream LSTM sees of these requests' texts, beside their classes."""
        summary: FloatArray = np.tanh(self._summary(readouts.state.pooled(readouts.row[texts])))
        return summary

    def stream_logits(self, plan: Schedule, states: FloatArray) -> FloatArray:
        """(requests, 3): what the stream's state before a text adds to the text's logits."""
        logits: FloatArray = affine(
            states[plan.state_before, 0], self._stream_readout, np.zeros(NUM_CLASSES, np.float32)
        )
        return logits

    def probabilities(self, plan: Schedule, readouts: WordReadouts, addend: FloatArray) -> DoubleArray:
        """(requests, 3): calibrated class probabilities after each request."""
        logits = readouts.logits[plan.logits_after] + addend
        return softmax(logits / temperatures(self._log_temperature, readouts.num_tokens)[:, None])

    def top_changes(
        self, plan: Schedule, readouts: WordReadouts, addend: FloatArray, num_chunks: IntArray, chunk_tokens: IntArray
    ) -> tuple[NDArray[np.int64], FloatArray]:
        """(requests, 3) numbers of the chunks that moved the running score most, -1 for none, and by how much.

        num_chunks: chunks of each request; chunk_tokens: tokens of each chunk.
        """
        shape = (len(num_chunks), gates.MAX_WORDS)
        top, changes = np.empty(shape, np.int64), np.empty(shape, np.float32)
        chunk_starts = np.concatenate([[0], np.cumsum(num_chunks)])
        gates.word_changes(
            readouts.logits,
            plan.logits_before,
            plan.token_starts,
            addend,
            temperatures(self._log_temperature, readouts.num_tokens),
            chunk_tokens,
            chunk_starts,
            top,
            changes,
        )
        return top, changes


def softmax(logits: NDArray[np.floating]) -> DoubleArray:
    """Of each row, in double precision."""
    shares: DoubleArray = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return shares


def _halve_sigmoids(weights: FloatArray) -> FloatArray:
    """(..., 4H) in the order input, forget, cell, output: all but the cell's part halved (see `gates.py`)."""
    halves = np.repeat(np.array([0.5, 0.5, 1.0, 0.5], np.float32), weights.shape[-1] // NUM_GATES)
    return np.ascontiguousarray(weights * halves)
