"""The network on a GPU, with torch: the schedule runs in blocks of steps, which are captured as CUDA graphs.

Token ids are copied to the device; logits, a summary of each text and the states of open texts are copied back. Copies
overlap with the work on the groups of rows before and after. The stream LSTM is small, so it runs on the host.
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
    """Readouts whose `state` is complete only for open texts; for others it has the number of tokens and zeros."""

    summary: FloatArray  # (requests, summary size): the summary of the request's row at its end


@dataclass(frozen=True, slots=True, eq=False)
class _GroupInputs:
    """The inputs of a group on the device."""

    tokens: Tensor  # (slots,)
    opened: list[Tensor]  # rows that continue an open text, and their words, total and means; or empty
    readouts: dict[int, tuple[IntArray, Tensor]]  # step -> requests whose state is read before it, and their rows


_States = tuple[IntArray, list[Tensor]]
"""Requests, and their `words` and `total`."""


class CudaNetwork(CpuNetwork):
    """A CpuNetwork whose word LSTM runs on a torch device, where calls from several threads take turns."""

    def __init__(
        self,
        config: ModelConfig,
        weights: Mapping[str, FloatArray],
        *,
        device: str = "cuda",
        precision: str = "float32",
    ) -> None:
        """Prepare the weights. On a GPU, also compile and capture all graphs, which takes seconds.

        device: cuda, or cpu for tests. precision: of the operands of the recurrent product: float32, tf32 or bf16.
        """
        few = replace(config, num_words=1, num_buckets=1)  # the host runs no word LSTM, so it needs no table
        super().__init__(few, {**weights, "word.embedding.weight": weights["word.embedding.weight"][: few.num_rows]})
        self._device = WordDevice(config, weights, device, precision)
        self._lock = Lock()
        self._text_readout, self._text_bias = weights["readout.weight"], weights["readout.bias"]

    def read_words(self, plan: Schedule, ids: IntArray, state: WordState) -> CudaReadouts:
        """Run the word LSTM over `ids` (tokens,) from `state`, the state of the row at each place."""
        inner, place = plan.inner_readouts(), plan.words.place[plan.row]
        open_at_end = np.flatnonzero(plan.at_end & ~plan.final)
        blocks = cut_into_blocks(plan.words, inner)
        tokens = np.full(blocks.num_slots, NO_TOKEN, np.int32)
        tokens[blocks.slot] = ids
        group_inputs = (
            self._send(group, tokens[group.slots], state, place, {**inner, group.end: open_at_end})
            for group in blocks.groups
        )
        queue = self._device.queue
        logits: list[Tensor] = []
        summaries: list[Tensor] = []
        found: list[_States] = []
        with self._lock, queue.working():
            inputs = next(group_inputs)
            for group in blocks.groups:
                logits_here, summary, states = self._read(group, inputs)
                # The next group's inputs are copied while this group runs; its results, while the next one runs.
                inputs = next(group_inputs, inputs)
                logits.append(queue.receive(logits_here))
                summaries.append(queue.receive(summary))
                found += [(requests, [queue.receive(tensor) for tensor in tensors]) for requests, tensors in states]
            queue.finish()
        all_logits = np.empty((plan.num_tokens + len(plan.words.order), NUM_CLASSES), np.float32)
        all_logits[: plan.num_tokens] = torch.cat(logits).numpy()[blocks.slot]
        all_logits[plan.num_tokens + plan.words.order] = self._logits_before(state)
        taken = _gather_states(state.num_tokens[place] + plan.position, state.total.shape[1], found)
        return CudaReadouts(taken, np.arange(len(place)), all_logits, torch.cat(summaries).numpy()[place])

    def _send(
        self, group: Group, tokens: NDArray[np.int32], state: WordState, place: IntArray, wanted: Mapping[int, IntArray]
    ) -> _GroupInputs:
        send, first = self._device.queue.send, group.places.start
        readouts: dict[int, tuple[IntArray, Tensor]] = {}
        for step, requests in wanted.items():
            inside = requests[(first <= place[requests]) & (place[requests] < group.places.stop)]
            if len(inside):
                readouts[step] = inside, send(place[inside] - first)
        opened = first + np.flatnonzero(state.num_tokens[group.places])
        sent_tokens = send(tokens)
        if not len(opened):
            return _GroupInputs(sent_tokens, [], readouts)
        total = state.total[opened]
        mean_logits = total @ self._text_readout[:, -total.shape[1] :].T.astype(np.float64)
        means = np.concatenate([mean_logits, state.num_tokens[opened, None]], axis=1)
        open_rows = [send(opened - first), *map(send, (state.words[:, opened], total, means))]
        return _GroupInputs(sent_tokens, open_rows, readouts)

    def _read(self, group: Group, inputs: _GroupInputs) -> tuple[Tensor, Tensor, list[_States]]:
        """Queue the work on a group; return its logits, its summaries, and the states of requests."""
        device, rows = self._device, self._device.rows
        found: list[_States] = []
        logits = device.logits.new_empty(len(inputs.tokens), NUM_CLASSES)

        def read_out(step: int) -> None:
            if step in inputs.readouts:
                requests, at = inputs.readouts[step]
                found.append((requests, [rows.words[:, at], rows.total[at]]))

        device.begin[group.rows]()
        if inputs.opened:
            at, words, total, means = inputs.opened
            rows.words[:, at], rows.total[at], rows.means[at] = words, total, means
            rows.operand[at] = words[0].to(rows.operand.dtype)
        read_out(0)
        for block in group.blocks:
            num_slots = STEPS * block.rows
            device.ids[:num_slots] = inputs.tokens[block.slots]
            device.block[block.rows]()
            logits[block.slots] = device.logits[:num_slots]
            read_out(block.end)
        device.end[group.rows]()
        return logits, device.summary[: group.places.stop - group.places.start].clone(), found

    def _logits_before(self, state: WordState) -> FloatArray:
        """(rows, 3): the logits of the text so far. Most rows are at the start of a text, so theirs are the bias."""
        logits = np.tile(self._text_bias, (len(state.num_tokens), 1))
        opened = np.flatnonzero(state.num_tokens)
        logits[opened] += state.pooled(opened) @ self._text_readout.T
        return logits

    def _summarise(self, readouts: WordReadouts, texts: IntArray) -> FloatArray:
        if not isinstance(readouts, CudaReadouts):
            raise TypeError("the readouts are not from a CudaNetwork")
        return readouts.summary[texts]


def _gather_states(num_tokens: IntArray, size: int, found: list[_States]) -> WordState:
    """The state of each request. Those that are not in `found` need only their number of tokens, so the rest is 0."""
    num_requests = len(num_tokens)
    words, total = np.zeros((3, num_requests, size), np.float32), np.zeros((num_requests, size))
    for requests, (words_found, total_found) in found:
        words[:, requests], total[requests] = words_found.numpy(), total_found.numpy()
    return WordState(words, total, num_tokens)
