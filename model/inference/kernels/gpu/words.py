"""The word LSTM on a torch device: the work that is captured as graphs, and the buffers that it uses.

A step is one matrix product and one kernel (`fused.py`). With few rows, launching the two takes longer than running
them. So blocks of steps (`blocks.py`) are captured once per row class, and one replay launches a whole block. A graph
replays with fixed addresses as well as shapes, so the states of rows, the tokens and logits of a block, and the
summaries of texts are in buffers that are allocated once.

On CPU tensors the same work runs without capture, and `step_in_torch` takes the place of the kernel. The tests compare
the kernel with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module

import torch
from torch import Tensor

from model.config import NUM_CLASSES, NUM_POOLED, ModelConfig
from model.inference.kernels.gpu.blocks import MAX_ROWS, ROW_CLASSES, STEPS
from model.inference.kernels.gpu.queues import GpuQueue, Queue, float32_products
from model.inference.state import FloatArray

NO_TOKEN = -1  # the id of a slot without a token
COUNT = NUM_CLASSES  # the column of Rows.means with the number of tokens


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The states of rows on the device: those of `WordState`, and values derived from them."""

    words: Tensor  # (3, rows, H): hidden, cell, maximum
    operand: Tensor  # (rows, H): the hidden state as operand of the product; may share its memory
    total: Tensor  # (rows, H), double
    means: Tensor  # (rows, 4), double: the mean's term of the logits times the number of tokens, and that number

    def first(self, rows: int) -> Rows:
        """Views of the first `rows` rows."""
        return Rows(self.words[:, :rows], self.operand[:rows], self.total[:rows], self.means[:rows])


class WordDevice:
    """The LSTM's weights and the captured work: `begin`, `block` and `end`, each by row class."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, FloatArray], device: str, precision: str) -> None:
        """device: cuda or cpu. precision: of the operands of the recurrent product: float32, tf32 or bf16."""
        self.queue = GpuQueue() if device == "cuda" else Queue()
        # Triton is installed only with a torch build for GPUs, so it is imported only on one
        self._step = (
            import_module("model.inference.kernels.gpu.fused").step_on_gpu if device == "cuda" else step_in_torch
        )
        operand = torch.bfloat16 if precision == "bf16" else torch.float32
        with self.queue.working(), float32_products():
            on_device = {name: torch.from_numpy(tensor).to(device).float() for name, tensor in weights.items()}
            embedding, weight_ih = on_device["word.embedding.weight"], on_device["word.lstm.weight_ih"]
            self._table = torch.addmm(on_device["word.lstm.bias"], embedding, weight_ih.T)  # (V, 4H)
            self._recurrence = on_device["word.lstm.weight_hh"].T.contiguous().to(operand)  # (H, 4H)
            readout = on_device["readout.weight"].view(NUM_CLASSES, NUM_POOLED, -1).transpose(0, 1)
            self._readout = readout.reshape(NUM_POOLED * NUM_CLASSES, -1).contiguous()  # (9, H)
            self._readout_bias = on_device["readout.bias"]
            self._to_summary = on_device["stream.summary.weight"].T.contiguous()
            self._summary_bias = on_device["stream.summary.bias"]
            self._make_buffers(config, operand, device)
        prepare = self.queue.prepare
        self.begin = {rows: prepare(partial(self._begin, rows)) for rows in ROW_CLASSES}
        self.block = {rows: prepare(partial(self._block, rows), tf32=precision == "tf32") for rows in ROW_CLASSES}
        self.end = {rows: prepare(partial(self._end, rows)) for rows in ROW_CLASSES}

    def _make_buffers(self, config: ModelConfig, operand: torch.dtype, device: str) -> None:
        size = config.hidden_size
        words = torch.zeros(3, MAX_ROWS, size, device=device)
        total = torch.zeros(MAX_ROWS, size, dtype=torch.float64, device=device)
        means = torch.zeros(MAX_ROWS, NUM_CLASSES + 1, dtype=torch.float64, device=device)
        self.rows = Rows(words, words[0].to(operand), total, means)
        self.ids = torch.full((STEPS * MAX_ROWS,), NO_TOKEN, dtype=torch.int32, device=device)
        self.logits = torch.zeros(STEPS * MAX_ROWS, NUM_CLASSES, device=device)
        self.summary = torch.zeros(MAX_ROWS, config.summary_size, device=device)

    def _begin(self, num_rows: int) -> None:
        """Reset the first rows to the start of a text."""
        rows = self.rows.first(num_rows)
        rows.words[:2].zero_()
        rows.words[2].fill_(-1)  # the lower bound of hidden states
        for tensor in (rows.operand, rows.total, rows.means):
            tensor.zero_()

    def _block(self, num_rows: int) -> None:
        """Run the tokens in `ids` step by step: update the states of `rows`, and write `logits` of the text so far."""
        rows = self.rows.first(num_rows)
        ids = self.ids[: STEPS * num_rows].view(STEPS, num_rows)
        logits = self.logits[: STEPS * num_rows].view(STEPS, num_rows, NUM_CLASSES)
        hidden, cell, maximum = rows.words
        for step in range(STEPS):
            gates = _product(rows.operand, self._recurrence)
            self._step(
                gates,
                ids[step],
                self._table,
                hidden,
                cell,
                maximum,
                rows.operand,
                rows.total,
                rows.means,
                self._readout,
                self._readout_bias,
                logits[step],
            )

    def _end(self, num_rows: int) -> None:
        """Write `summary` (rows, summary size): the summaries of the texts of the first rows, for the stream LSTM."""
        rows = self.rows.first(num_rows)
        count = rows.means[:, COUNT:]
        mean = (rows.total / count.clamp(min=1)).float()
        pooled = torch.cat([rows.words[0], rows.words[2], mean], dim=1) * (count > 0)
        self.summary[:num_rows] = torch.addmm(self._summary_bias, pooled, self._to_summary).tanh()


def _product(operand: Tensor, weights: Tensor) -> Tensor:
    """operand (rows, H) @ weights (H, 4H) -> (rows, 4H), summed in float32 for either type of operand."""
    if operand.dtype == torch.float32:
        return torch.mm(operand, weights)
    if operand.is_cuda:
        return torch.mm(operand, weights, out_dtype=torch.float32)
    return torch.mm(operand.float(), weights.float())


def step_in_torch(  # noqa: PLR0913, PLR0917 - the arguments of the kernel
    gates: Tensor,
    ids: Tensor,
    table: Tensor,
    hidden: Tensor,
    cell: Tensor,
    maximum: Tensor,
    operand: Tensor,
    total: Tensor,
    means: Tensor,
    readout: Tensor,
    bias: Tensor,
    logits: Tensor,
) -> None:
    """One step of all rows with torch operations, like `fused.step_kernel`, which documents the arguments."""
    has_token = (ids >= 0)[:, None]
    i, f, a, o = (gates + table.index_select(0, ids.clamp(min=0))).chunk(4, dim=1)
    new_cell = f.sigmoid() * cell + i.sigmoid() * a.tanh()
    new_hidden = o.sigmoid() * new_cell.tanh()
    new_maximum = torch.maximum(maximum, new_hidden)
    of_last, of_maximum, of_mean = torch.split(readout, NUM_CLASSES)
    new_means = means + torch.nn.functional.pad(new_hidden @ of_mean.T, (0, 1), value=1)
    mean_logits = (new_means[:, :COUNT] / new_means[:, COUNT:]).float()
    new_logits = bias + new_hidden @ of_last.T + new_maximum @ of_maximum.T + mean_logits
    for old, new in (
        (hidden, new_hidden),
        (cell, new_cell),
        (maximum, new_maximum),
        (operand, new_hidden.to(operand.dtype)),
        (total, total + new_hidden),
        (means, new_means),
        (logits, new_logits),
    ):
        old.copy_(torch.where(has_token, new, old))
