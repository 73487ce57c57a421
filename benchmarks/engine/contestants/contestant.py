"""Contestants of the race, and those without a framework: our engine, and its matrix products alone.

The work is the same for all: token ids and lengths are given, and each contestant reads them through the same embedding
and LSTM weights, in batches, to the last hidden state of every text. The peers' padding, packing and sorting by length
is not timed. Our engine's planning of a batch is timed, and it also updates a text's pools and reads out the classes
after every token, as serving needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.engine.contestants.work import RaggedTexts, Work
from model.inference.kernels.cpu import CpuNetwork, WordReadouts
from model.inference.kernels.recurrence import CPU_PRECISIONS, CpuPrecision
from model.inference.schedule import IntArray, plan_rows, schedule
from model.inference.state import FloatArray, WordState

PRODUCTS = "products"


@dataclass(frozen=True, slots=True, eq=False)
class Contestant:
    """One implementation of the work."""

    name: str  # in JSON
    title: str  # in the table
    read: Callable[[], FloatArray]  # returns the last hidden states, (texts, H), in an order of its own
    order: IntArray  # (texts,): index of the text of each of these rows
    is_exact: bool = True  # float32 throughout
    is_complete: bool = True  # does all of the work

    def hidden(self) -> FloatArray:
        """The last hidden states, (texts, H), in the order of the texts."""
        hidden = np.empty_like(states := self.read())
        hidden[self.order] = states
        return hidden


def read_words(network: CpuNetwork, hidden_size: int, texts: RaggedTexts) -> WordReadouts:
    """Read a batch of whole texts, each on a stream of its own, as the engine does, including the planning."""
    whole = np.ones(len(texts.lengths), np.bool_)
    plan = schedule(texts.lengths, final=whole, first=whole)
    return network.read_words(plan, texts.ids, WordState.empty(len(whole), hidden_size))


def read_batch(network: CpuNetwork, hidden_size: int, texts: RaggedTexts) -> FloatArray:
    """The last hidden state of each text of a batch, (texts, H)."""
    readouts = read_words(network, hidden_size, texts)
    hidden: FloatArray = readouts.state.words[0, readouts.row]
    return hidden


def ours(work: Work, precision: CpuPrecision) -> tuple[Contestant, Contestant]:
    """Our word network, on batches in the order of the texts, and on batches of texts sorted by length beforehand."""
    network = CpuNetwork(work.config, work.weights, precision=precision)
    name, title, is_exact = f"ours_{precision}", f"ours, {precision}", precision == CPU_PRECISIONS[0]
    as_given, by_length = np.arange(len(work.texts.lengths)), np.concatenate(work.sorted_ahead(work.batch))
    return (
        Contestant(name, title, _reader(work, network, as_given), as_given, is_exact),
        Contestant(f"{name}_ahead", f"{title}, sorted ahead", _reader(work, network, by_length), by_length, is_exact),
    )


def _reader(work: Work, network: CpuNetwork, order: IntArray) -> Callable[[], FloatArray]:
    texts = work.texts.reordered(order)
    batches = [texts.take(batch) for batch in texts.batches(work.batch)]

    def read() -> FloatArray:
        return np.concatenate([read_batch(network, work.config.hidden_size, batch) for batch in batches])

    return read


def products(work: Work) -> Contestant:
    """The recurrent products of the same schedule by numpy's BLAS, without gates and states."""
    recurrence = np.ascontiguousarray(work.weights["word.lstm.weight_hh"].T)
    plans = [plan_rows(work.texts.take(batch).lengths) for batch in work.texts.batches(work.batch)]
    hidden = np.zeros((work.batch, work.config.hidden_size), np.float32)
    gates = np.empty((work.batch, recurrence.shape[1]), np.float32)

    def read() -> FloatArray:
        for plan in plans:
            for num_active in plan.num_active:
                np.dot(hidden[:num_active], recurrence, out=gates[:num_active])
        return hidden

    title = "the matrix products alone, numpy"
    return Contestant(PRODUCTS, title, read, np.arange(work.batch), is_complete=False)


def fastest(candidates: Sequence[Contestant], seconds: Sequence[float]) -> Contestant:
    """The candidate with the least time: a peer takes part with its best setting on this machine."""
    return min(zip(seconds, candidates, strict=True), key=lambda pair: pair[0])[1]
