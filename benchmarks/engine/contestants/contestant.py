"""Who runs in the race, and those that are numpy's: our engine, and its matrix products alone.

The work is the same for all: token ids and lengths are given, and each reads them through the same embedding and LSTM
weights, in batches, to the last hidden state of every text. What a peer can prepare before it sees a state is prepared
outside the time: padded or packed ids, sorted by length. Ours plans its batch inside the time, and also keeps
the pools of a text and reads the classes out after every token, as serving needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.engine.contestants.work import RaggedTexts, Work
from model.inference.kernels.cpu import CpuNetwork
from model.inference.kernels.recurrence import CPU_PRECISIONS, CpuPrecision
from model.inference.schedule import IntArray, plan_rows, schedule
from model.inference.state import FloatArray, WordState

PRODUCTS = "products"


@dataclass(frozen=True, slots=True, eq=False)
class Contestant:
    """One way to do the work."""

    name: str  # in JSON
    title: str  # in the table
    read: Callable[[], FloatArray]  # -> (texts, H): the last hidden state of each, in its own order
    order: IntArray  # (texts,): the text that each row of these is
    is_exact: bool = True  # its numbers are float32 throughout
    is_complete: bool = True  # it does all of the work

    def hidden(self) -> FloatArray:
        """(texts, H) in the order of the texts."""
        hidden = np.empty_like(states := self.read())
        hidden[self.order] = states
        return hidden


def read_batch(network: CpuNetwork, hidden_size: int, texts: RaggedTexts) -> FloatArray:
    """(texts, H): as the engine reads a batch of whole texts, each of a stream of its own, its plan included."""
    whole = np.ones(len(texts.lengths), np.bool_)
    plan = schedule(texts.lengths, final=whole, first=whole)
    readouts = network.read_words(plan, texts.ids, WordState.empty(len(whole), hidden_size))
    hidden: FloatArray = readouts.state.words[0, readouts.row]
    return hidden


def ours(work: Work, precision: CpuPrecision) -> tuple[Contestant, Contestant]:
    """Our word network, on batches as they come, and on batches of texts that were sorted by length together."""
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
    """The recurrent products of the same schedule by numpy's BLAS, and nothing else: no gates, no states."""
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
    """The one with the least time: a peer takes part with the setting that suits it best here."""
    return min(zip(seconds, candidates, strict=True), key=lambda pair: pair[0])[1]
