"""The network on a GPU, through torch: the CPU's schedule in blocks, whose kernels are captured as CUDA graphs.

Token ids go to the device, and logits, a summary of each text and the states of open texts come back, beside the work
on what comes before and after. The stream LSTM has a few cells a stream: it stays on the host, with the states.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.config import NUM_CLASSES, ModelConfig
from model.inference.kernels.cpu import CpuNetwork, WordReadouts
from model.inference.kernels.gpu.blocks import STEPS, Group, cut_into_blocks
from model.inference.kernels.gpu.words import NO_TOKEN, WordDevice
from model.inference.schedule import IntArray, Schedule
from model.inference.state import FloatArray, WordState


@dataclass(frozen=True, slots=True, eq=False)
class CudaReadouts(WordReadouts):
    """`state` is whole where a text goes on; where it ends it has the number of tokens, and `summary` is the rest."""

    summary: FloatArray  # (requests, S): what the stream LSTM sees of the request's row at its end


@dataclass(frozen=True, slots=True, eq=False)
class _Parcel:
    """What the device is sent for a group."""

    tokens: Tensor  # (slots,)
    opened: list[Tensor]  # rows that are in the middle of a text, and their words, total and means; or nothing
    looks: dict[int, tuple[IntArray, Tensor]]  # before a step: requests whose state is wanted, and their rows


_Found = tuple[IntArray, list[Tensor]]
"""Requests, and the words and total of each."""


class CudaNetwork(CpuNetwork):
    """CpuNetwork with its word LSTM on a device of torch. Calls from several threads take turns there."""

    def __init__(
        self,
        config: ModelConfig,
        weights: Mapping[str, FloatArray],
        *,
        device: str = "cuda",
        precision: str = "float32",
    ) -> None:
        """Fold the weights and, on a GPU, compile and capture: seconds, after which no call is the first of its kind.

        device: cuda, or cpu for tests. precision: of the operands of the recurrent product: float32, tf32 or bf16.
        """
        few = replace(config, num_words=1, num_buckets=1)  # the host reads no words
        super().__init__(few, {**weights, "word.embedding.weight": weights["word.embedding.weight"][: few.num_rows]})
        self._device = WordDevice(config, weights, device, precision)
        self._lock = Lock()
        self._text_readout, self._text_bias = weights["readout.weight"], weights["readout.bias"]

    def read_words(self, plan: Schedule, ids: IntArray, state: WordState) -> CudaReadouts:
        """Run the word LSTM. `ids`: token after token; `state`: where the row at each place begins."""
        inner, place = plan.inner_readouts(), plan.words.place[plan.row]
        open_at_end = np.flatnonzero(plan.at_end & ~plan.final)
        blocks = cut_into_blocks(plan.words, inner)
        tokens = np.full(blocks.num_slots, NO_TOKEN, np.int32)
        tokens[blocks.slot] = ids
        parcels = (
            self._send(group, tokens[group.slots], state, place, {**inner, group.end: open_at_end})
            for group in blocks.groups
        )
        queue = self._device.queue
        logits: list[Tensor] = []
        summaries: list[Tensor] = []
        found: list[_Found] = []
        with self._lock, queue.working():
            parcel = next(parcels)
            for group in blocks.groups:
                logits_here, summary, looked = self._read(group, parcel)
                # sent while this group is worked on; and what this one gives comes back while the next one is
                parcel = next(parcels, parcel)
                logits.append(queue.receive(logits_here))
                summaries.append(queue.receive(summary))
                found += [(requests, [queue.receive(part) for part in parts]) for requests, parts in looked]
            queue.finish()
        all_logits = np.empty((plan.num_tokens + len(plan.words.order), NUM_CLASSES), np.float32)
        all_logits[: plan.num_tokens] = torch.cat(logits).numpy()[blocks.slot]
        all_logits[plan.num_tokens + plan.words.order] = self._logits_before(state)
        taken = _states(state.num_tokens[place] + plan.position, state.total.shape[1], found)
        return CudaReadouts(taken, np.arange(len(place)), all_logits, torch.cat(summaries).numpy()[place])

    def _send(
        self, group: Group, tokens: NDArray[np.int32], state: WordState, place: IntArray, looks: Mapping[int, IntArray]
    ) -> _Parcel:
        send, first = self._device.queue.send, group.places.start
        sent: dict[int, tuple[IntArray, Tensor]] = {}
        for step, requests in looks.items():
            inside = requests[(first <= place[requests]) & (place[requests] < group.places.stop)]
            if len(inside):
                sent[step] = inside, send(place[inside] - first)
        opened = first + np.flatnonzero(state.num_tokens[group.places])
        if not len(opened):
            return _Parcel(send(tokens), [], sent)
        total = state.total[opened]
        mean_logits = total @ self._text_readout[:, -total.shape[1] :].T.astype(np.float64)
        means = np.concatenate([mean_logits, state.num_tokens[opened, None]], axis=1)
        return _Parcel(send(tokens), [send(opened - first), *map(send, (state.words[:, opened], total, means))], sent)

    def _read(self, group: Group, parcel: _Parcel) -> tuple[Tensor, Tensor, list[_Found]]:
        """Queue the work on a group -> its logits, its summaries, and requests with the state of each."""
        device, rows = self._device, self._device.rows
        found: list[_Found] = []
        logits = device.logits.new_empty(len(parcel.tokens), NUM_CLASSES)

        def look(step: int) -> None:
            if step in parcel.looks:
                requests, at = parcel.looks[step]
                found.append((requests, [rows.words[:, at], rows.total[at]]))

        device.begin[group.rows]()
        if parcel.opened:
            at, words, total, means = parcel.opened
            rows.words[:, at], rows.total[at], rows.means[at] = words, total, means
            rows.operand[at] = words[0].to(rows.operand.dtype)
        look(0)
        for block in group.blocks:
            num_slots = STEPS * block.rows
            device.ids[:num_slots] = parcel.tokens[block.slots]
            device.block[block.rows]()
            logits[block.slots] = device.logits[:num_slots]
            look(block.end)
        device.end[group.rows]()
        return logits, device.summary[: group.places.stop - group.places.start].clone(), found

    def _logits_before(self, state: WordState) -> FloatArray:
        """(rows, 3): of the text so far, which for most rows is nothing."""
        logits = np.tile(self._text_bias, (len(state.num_tokens), 1))
        opened = np.flatnonzero(state.num_tokens)
        logits[opened] += state.pooled(opened) @ self._text_readout.T
        return logits

    def _summarise(self, readouts: WordReadouts, texts: IntArray) -> FloatArray:
        if not isinstance(readouts, CudaReadouts):
            raise TypeError("these readouts are of another network")
        return readouts.summary[texts]


def _states(num_tokens: IntArray, size: int, found: list[_Found]) -> WordState:
    """By request: those found; of the others only the number of tokens, as nobody asks for the rest."""
    num_requests = len(num_tokens)
    words, total = np.zeros((3, num_requests, size), np.float32), np.zeros((num_requests, size))
    for requests, (words_found, total_found) in found:
        words[:, requests], total[requests] = words_found.numpy(), total_found.numpy()
    return WordState(words, total, num_tokens)
