"""The network in torch, for training: word LSTM, pooled readout, and the stream cell above them.

It is the network that `reference.py` spells out in plain numpy and that the engine serves. `tensors` and `load_tensors`
translate between torch's parameters and the tensors of a checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from model.config import NUM_CLASSES, NUM_GATES, ModelConfig

FloatArray = npt.NDArray[np.float32]


class WordNetwork(nn.Module):
    """Tokens of a text -> its summary z = [last h; elementwise max h; mean h], over its own length."""

    def __init__(self, config: ModelConfig, embedding_dropout: float, word_dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.num_rows, config.embedding_size)
        self.lstm = nn.LSTM(config.embedding_size, config.hidden_size, batch_first=True)
        self.embedding_dropout = nn.Dropout(embedding_dropout)
        self.word_dropout = nn.Dropout(word_dropout)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """(batch, time) ids, padded at the end, and (batch,) lengths of at least 1 -> (batch, 3 hidden)."""
        x = self.embedding_dropout(self.embedding(tokens))
        x = x * self.word_dropout(torch.ones_like(x[..., :1]))
        h = self.lstm(x)[0].float()  # (batch, time, hidden); padding after a text cannot reach it in one direction
        inside = torch.arange(tokens.shape[1]) < lengths[:, None]
        last = h[torch.arange(len(h)), lengths - 1]
        highest = h.masked_fill(~inside[..., None], -torch.inf).amax(dim=1)
        mean = (h * inside[..., None]).sum(dim=1) / lengths[:, None]
        return torch.cat([last, highest, mean], dim=1)


class StreamNetwork(nn.Module):
    """Summaries of a stream's texts, in order -> the addend of the stream to the logits of each text."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.summary = nn.Linear(3 * config.hidden_size, config.summary_size)
        self.lstm = nn.LSTM(config.summary_size + NUM_CLASSES, config.stream_size, batch_first=True)
        self.readout = nn.Linear(config.stream_size, NUM_CLASSES, bias=False)
        nn.init.zeros_(self.readout.weight)  # starts as the text network alone, and adds nothing to untrained classes

    def forward(self, z: Tensor, text_logits: Tensor) -> Tensor:
        """(streams, texts, 3 hidden) and (streams, texts, classes) -> (streams, texts, classes), not yet bounded.

        A text's addend is read from the state before it, so it is zero for the first text of a stream.
        """
        u = torch.cat([torch.tanh(self.summary(z)), text_logits.softmax(dim=-1)], dim=-1)
        h, _ = self.lstm(u)
        before = torch.cat([torch.zeros_like(h[:, :1]), h[:, :-1]], dim=1)
        addend: Tensor = self.readout(before)
        return addend


def add_to_logits(logits: Tensor, addend: Tensor, bound: float | None) -> Tensor:
    """The logits (texts, classes) of texts in their streams, as `model/inference/bound.py` says. addend: x there."""
    if bound is None:
        return logits + addend
    negative, _, positive = (bound * torch.tanh((addend - addend.mean(dim=1, keepdim=True)) / bound)).unbind(dim=1)
    tilt = (positive - negative) / 2
    moved = logits + torch.stack([-tilt, torch.zeros_like(tilt), tilt], dim=1)
    follows = moved[:, ::2].amax(dim=1) - logits[:, ::2].amax(dim=1)
    return moved + torch.stack([torch.zeros_like(follows), follows, torch.zeros_like(follows)], dim=1)


def merge_cells(cells: Sequence[StreamNetwork]) -> dict[str, Tensor]:
    """The state of one larger StreamNetwork whose addend is the mean of the addends of `cells`.

    Its weights are block-diagonal, a block for each cell, so that no cell sees another.
    """
    states = [cell.state_dict() for cell in cells]

    def joined(name: str, join: Callable[..., Tensor], columns: slice = slice(None)) -> Tensor:
        """Join gate by gate: the rows of an LSTM's weights are ordered by gate."""
        chunks = [state[name][..., columns].chunk(NUM_GATES) for state in states]
        return torch.cat([join(*of_gate) for of_gate in zip(*chunks, strict=True)])

    def below(*parts: Tensor) -> Tensor:
        return torch.cat(parts)

    from_summary = joined("lstm.weight_ih_l0", torch.block_diag, slice(None, -NUM_CLASSES))
    from_classes = joined("lstm.weight_ih_l0", below, slice(-NUM_CLASSES, None))
    return {
        "summary.weight": below(*[state["summary.weight"] for state in states]),
        "summary.bias": below(*[state["summary.bias"] for state in states]),
        "lstm.weight_ih_l0": torch.cat([from_summary, from_classes], dim=1),
        "lstm.weight_hh_l0": joined("lstm.weight_hh_l0", torch.block_diag),
        "lstm.bias_ih_l0": joined("lstm.bias_ih_l0", below),
        "lstm.bias_hh_l0": joined("lstm.bias_hh_l0", below),
        "readout.weight": torch.cat([state["readout.weight"] for state in states], dim=1) / len(states),
    }


class SentimentNetwork(nn.Module):
    """The whole network. Its parts are trained one after the other, so each can be called by itself."""

    log_temperature: Tensor

    def __init__(
        self,
        config: ModelConfig,
        embedding_dropout: float = 0.0,
        word_dropout: float = 0.0,
        output_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.word = WordNetwork(config, embedding_dropout, word_dropout)
        self.output_dropout = nn.Dropout(output_dropout)
        self.readout = nn.Linear(3 * config.hidden_size, NUM_CLASSES)
        self.stream = StreamNetwork(config)
        # Not persistent: the temperature is fitted last, so that no snapshot holds it.
        self.register_buffer("log_temperature", torch.zeros(2), persistent=False)

    def text_logits(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """(batch, time) ids and (batch,) lengths -> (batch, classes) logits of each text alone."""
        logits: Tensor = self.readout(self.output_dropout(self.word(tokens, lengths)))
        return logits

    def temperature(self, lengths: Tensor) -> Tensor:
        """(batch,) lengths -> (batch, 1) temperatures of texts of these lengths (see `calibration.py`)."""
        constant, by_length = self.log_temperature
        return torch.exp(constant + by_length * torch.log1p(lengths.float()))[:, None]

    def tensors(self) -> dict[str, FloatArray]:
        """The float32 tensors of a checkpoint, by name. torch's two LSTM biases become one, their sum."""
        state = {name: tensor.detach().numpy() for name, tensor in self.state_dict().items()}
        tensors = {}
        for name, array in state.items():
            if name.endswith(".lstm.bias_ih_l0"):
                tensors[name.replace("bias_ih_l0", "bias")] = array + state[name.replace("_ih_", "_hh_")]
            elif not name.endswith(".lstm.bias_hh_l0"):
                tensors[name.removesuffix("_l0")] = array.copy()
        tensors["calibration.log_temperature"] = self.log_temperature.numpy().copy()
        return tensors

    def load_tensors(self, tensors: Mapping[str, FloatArray]) -> None:
        """Load the tensors of a checkpoint; the inverse of `tensors`."""
        state = {}
        for name, current in self.state_dict().items():
            if name.endswith(".lstm.bias_hh_l0"):
                state[name] = torch.zeros_like(current)
                continue
            stored = name.removesuffix("_l0").replace("bias_ih", "bias")
            state[name] = torch.from_numpy(tensors[stored].astype(np.float32))
        self.load_state_dict(state)
        self.log_temperature.copy_(torch.from_numpy(tensors["calibration.log_temperature"]))
