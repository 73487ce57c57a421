"""The network on the CPU: one compiled pass over the tokens of a batch, and one over the texts of its streams.

Embedding, input weights and bias are multiplied once into a table with one row (4 * hidden size,) per vocabulary row,
so a token costs a gather and half the products. Nothing is padded: at every step the rows still running are the first
ones. No sum depends on the other texts of the batch, so a whole text gives the same bits alone and in any batch.

In the shapes here, H is the hidden size, K the stream size and S the summary size.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.config import NUM_CLASSES, NUM_GATES, NUM_POOLED, ModelConfig
from model.inference.bound import add_to_logits, bound_addend
from model.inference.kernels import gates, passes
from model.inference.kernels.compiled import compiled
from model.inference.kernels.instruction_sets import GROUP
from model.inference.kernels.products import AffineMap, affine, pack
from model.inference.kernels.recurrence import CpuPrecision, Recurrence, Table, padded_shape
from model.inference.schedule import IntArray, Schedule
from model.inference.state import DoubleArray, FloatArray, WordState


@dataclass(frozen=True, slots=True, eq=False)
class WordReadouts:
    """The output of the word LSTM for a batch of requests."""

    state: WordState  # the word LSTM's state after the requests
    row: IntArray  # (requests,): each request's row of `state`
    logits: FloatArray  # (tokens + rows, 3): logits of the text alone, in the order of `Schedule`

    @property
    def num_tokens(self) -> IntArray:
        """(requests,): the number of tokens of the text so far."""
        return self.state.num_tokens[self.row]


class CpuNetwork:
    """The forward pass of the network. Safe to use from several threads."""

    def __init__(
        self,
        config: ModelConfig,
        weights: Mapping[str, FloatArray],
        *,
        precision: CpuPrecision = "float32",
        threads: int = 1,
    ) -> None:
        """precision: of the word LSTM's weights (`recurrence.py`). threads: of the pass over a batch's tokens."""
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
        self._stream_bound = config.stream_bound

    def read_words(self, plan: Schedule, ids: IntArray, state: WordState) -> WordReadouts:
        """Run the word LSTM over `ids` (tokens,) from `state`, that of the row at each place, and overwrite it."""
        hidden, cell, maximum = state.words
        places = plan.words.place[plan.row]
        begin_logits, mean_logits = self._begin_logits(state)
        logits = np.empty((plan.num_tokens + len(hidden), NUM_CLASSES), np.float32)
        logits[plan.num_tokens + plan.words.order] = begin_logits
        inner = plan.inner_readouts()
        taken = WordState.empty(len(plan.row), self._hidden_size) if inner else state
        num_active = plan.words.num_active
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
                self._run_groups(int(num_active[step]), arrays)
            if until in inner:
                taken.copy_rows(inner[until], state, places[inner[until]])
            step = until
        if not inner:
            return WordReadouts(state, places, logits)
        at_end = np.flatnonzero(plan.at_end)
        taken.copy_rows(at_end, state, places[at_end])
        return WordReadouts(taken, np.arange(len(plan.row)), logits)

    def _run_groups(self, num_rows: int, arrays: tuple[Any, ...]) -> None:
        """Run one pass for each group of rows, in up to `threads` threads."""
        firsts = range(0, num_rows, GROUP)
        if self._threads == 1 or len(firsts) == 1:
            for first in firsts:
                passes.read_tokens(first, *arrays)
        else:
            with ThreadPoolExecutor(self._threads) as pool:
                list(pool.map(lambda first: passes.read_tokens(first, *arrays), firsts))

    def _begin_logits(self, state: WordState) -> tuple[FloatArray, DoubleArray]:
        """The logits of the text so far (rows, 3), and the term of the sum of hidden states in them (rows, 3).

        Most rows are at the start of a text: their logits are the bias, and their term is zero. The term is not yet
        divided by the number of tokens.
        """
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
        """Run the stream LSTM from `carried` (streams, 2, K); return (states, 2, K), ordered as in `Schedule`."""
        texts = np.flatnonzero(plan.steps)
        states = np.empty((len(carried) + len(texts), *carried.shape[1:]), np.float32)
        states[plan.state_starts] = carried
        summary = self._summarise(readouts, texts)
        classes = softmax(readouts.logits[plan.logits_after[texts]]).astype(np.float32)
        inputs = self._stream_input(np.concatenate([summary, classes], axis=1))
        hidden, cell = carried[plan.streams.order].transpose(1, 0, 2).copy()
        passes.step_texts(
            plan.streams.num_active,
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
        """(texts, S): the summaries of these requests' texts, an input of the stream LSTM beside their classes."""
        summary: FloatArray = np.tanh(self._summary(readouts.state.pooled(readouts.row[texts])))
        return summary

    def stream_logits(self, plan: Schedule, states: FloatArray) -> FloatArray:
        """(requests, 3): what the stream's state before a text adds to the text's logits (`bound.py`)."""
        addend = affine(states[plan.state_before, 0], self._stream_readout, np.zeros(NUM_CLASSES, np.float32))
        return bound_addend(addend, self._stream_bound).astype(np.float32, copy=False)

    def probabilities(
        self, plan: Schedule, readouts: WordReadouts, addend: FloatArray, temperatures: DoubleArray
    ) -> DoubleArray:
        """(requests, 3): calibrated class probabilities after each request.

        addend: from `stream_logits`. temperatures (requests,).
        """
        logits = add_to_logits(readouts.logits[plan.logits_after], addend, self._stream_bound)
        found: DoubleArray = softmax(logits / temperatures[:, None])
        return found

    def top_changes(  # noqa: PLR0913, PLR0917 - arrays of one batch
        self,
        plan: Schedule,
        readouts: WordReadouts,
        addend: FloatArray,
        temperatures: DoubleArray,
        num_chunks: IntArray,
        chunk_tokens: IntArray,
    ) -> tuple[NDArray[np.int64], FloatArray]:
        """The chunks that changed the running score most, by number (-1: none), and the changes; both (requests, 3).

        addend and temperatures: as of `probabilities`. num_chunks (requests,): chunks of each request. chunk_tokens
        (chunks,): tokens of each chunk.
        """
        shape = (len(num_chunks), gates.MAX_WORDS)
        top, changes = np.empty(shape, np.int64), np.empty(shape, np.float32)
        chunk_starts = np.concatenate([[0], np.cumsum(num_chunks)])
        gates.word_changes(
            readouts.logits,
            plan.logits_before,
            plan.token_starts,
            addend,
            self._stream_bound is not None,
            temperatures,
            chunk_tokens,
            chunk_starts,
            top,
            changes,
        )
        return top, changes


@compiled
def softmax(logits: Any) -> Any:
    """The softmax of each row of (n, classes), in double precision."""
    shares = np.empty(logits.shape, np.float64)
    for row in range(len(logits)):
        highest = logits[row].max()
        for label in range(logits.shape[1]):
            shares[row, label] = np.exp(np.float64(logits[row, label] - highest))
        shares[row] /= shares[row].sum()
    return shares


def _halve_sigmoids(weights: FloatArray) -> FloatArray:
    """Halve the input, forget and output gates of (..., 4H), not the cell gate: see `gates.py` for why."""
    halves = np.repeat(np.array([0.5, 0.5, 1.0, 0.5], np.float32), weights.shape[-1] // NUM_GATES)
    return np.ascontiguousarray(weights * halves)
