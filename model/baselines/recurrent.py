"""RNN, LSTM and GRU in torch, from one to n layers, as one module whose state is one tensor that can be kept.

The numpy counterpart, with its backward pass written out, is `cells.py`; `to_numpy` hands the weights over.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from model.cells import CELLS, LayerWeights

_MODULES: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class RecurrentNetwork(nn.Module):
    """Layers of one kind of cell (a key of `cells.CELLS`), one on top of the other.

    A state is (layers, parts, batch, cells), of an LSTM with the parts h and c, of the others with h alone.
    """

    def __init__(self, kind: str, input_size: int, hidden_size: int, num_layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.kind = kind
        self._shape = num_layers, CELLS[kind].num_states, hidden_size
        self.layers = _MODULES[kind](input_size, hidden_size, num_layers, batch_first=True, dropout=dropout)

    def start(self, num_sequences: int) -> Tensor:
        """The empty state of a batch."""
        num_layers, num_parts, hidden_size = self._shape
        return next(self.parameters()).new_zeros(num_layers, num_parts, num_sequences, hidden_size)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(batch, time, inputs) and a state (None: empty) -> (batch, time, cells) of the last layer, and the state."""
        state = self.start(len(x)) if state is None else state
        h, *c = state.unbind(dim=1)
        if c:
            outputs, (h, *c) = self.layers(x, (h.contiguous(), c[0].contiguous()))
        else:
            outputs, h = self.layers(x, h.contiguous())
        return outputs, torch.stack([h, *c], dim=1)

    def step(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As a cell: (batch, inputs) and a state -> (batch, cells) of the last layer, and the next state."""
        outputs, state = self(x[:, None], state)
        return outputs[:, 0], state

    def to_numpy(self) -> list[LayerWeights]:
        """The weights of each layer, as `cells.py` takes them."""
        return [
            LayerWeights(*(parameter.detach().double().cpu().numpy().copy() for parameter in layer))
            for layer in self.layers.all_weights
        ]
