"""The word LSTM on a device of torch: what is captured, and the buffers it works on.

A step is one matrix product and one kernel (`fused.py`); on few rows it takes longer to launch the two than to run
them. So blocks of steps (`blocks.py`) are captured once for each size class, and one replay launches all of a block.
A graph repeats addresses as well as shapes: where rows stand, the tokens of a block, its logits and the summaries of
texts are in buffers that are made once.

On CPU tensors the same runs as it is, with the kernel written out in torch's operations, against which it is tested.
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

NO_TOKEN = -1  # in place of an id
COUNT = NUM_CLASSES  # column of Rows.means


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Where rows stand: WordState on the device, and what it needs beside."""

    words: Tensor  # (3, rows, H): hidden, cell, maximum
    operand: Tensor  # (rows, H): the hidden state as the product takes it, which may be the same memory
    total: Tensor  # (rows, H), double
    means: Tensor  # (rows, 4), double: the mean's part of the logits before it is divided by the last, the tokens read

    def first(self, rows: int) -> Rows:
        """The first ones, as views."""
        return Rows(self.words[:, :rows], self.operand[:rows], self.total[:rows], self.means[:rows])


class WordDevice:
    """The LSTM's weights, and the work that is captured: `begin`, `block` and `end`, each by size class."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, FloatArray], device: str, precision: str) -> None:
        """device: cuda or cpu. precision: of the operands of the recurrent product: float32, tf32 or bf16."""
        self.queue = GpuQueue() if device == "cuda" else Queue()
        # the kernel's language is there only where torch is made for a GPU
        self._step = (
            import_module("model.inference.kernels.gpu.fused").step_on_gpu if device == "cuda" else step_in_torch
        )
        operand = torch.bfloat16 if precision == "bf16" else torch.float32
        with self.queue.working(), float32_products():
            given = {name: torch.from_numpy(tensor).to(device) for name, tensor in weights.items()}
            embedding, weight_ih = given["word.embedding.weight"], given["word.lstm.weight_ih"]
            self._table = torch.addmm(given["word.lstm.bias"], embedding, weight_ih.T)  # (V, 4H)
            self._recurrence = given["word.lstm.weight_hh"].T.contiguous().to(operand)  # (H, 4H)
            readout = given["readout.weight"].view(NUM_CLASSES, NUM_POOLED, -1).transpose(0, 1)
            self._readout = readout.reshape(NUM_POOLED * NUM_CLASSES, -1).contiguous()  # (9, H)
            self._readout_bias = given["readout.bias"]
            self._to_summary = given["stream.summary.weight"].T.contiguous()
            self._summary_bias = given["stream.summary.bias"]
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
        """Put the first rows at the start of a text."""
        rows = self.rows.first(num_rows)
        rows.words[:2].zero_()
        rows.words[2].fill_(-1)  # below any hidden state
        for tensor in (rows.operand, rows.total, rows.means):
            tensor.zero_()

    def _block(self, num_rows: int) -> None:
        """Read the tokens in `ids`, step after step: `rows` move on, `logits` are those of the text so far."""
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
        """Fill in `summary` (rows, S): what the stream LSTM sees of the texts of the first rows."""
        rows = self.rows.first(num_rows)
        count = rows.means[:, COUNT:]
        mean = (rows.total / count.clamp(min=1)).float()
        pooled = torch.cat([rows.words[0], rows.words[2], mean], dim=1) * (count > 0)
        self.summary[:num_rows] = torch.addmm(self._summary_bias, pooled, self._to_summary).tanh()


def _product(operand: Tensor, weights: Tensor) -> Tensor:
    """(rows, H), (H, 4H) -> (rows, 4H) in float32, which products of either type are summed in."""
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
    """What `fused.step_kernel`, which says what the arguments are, does for all rows."""
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
