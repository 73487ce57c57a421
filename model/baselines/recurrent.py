"""RNN, LSTM and GRU in torch as one module, whose state is a single tensor.

The numpy counterpart, with its backward pass written out, is `model/cells.py`; `to_numpy` converts the weights.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from model.cells import CELLS, LayerWeights

_MODULES: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class RecurrentNetwork(nn.Module):
    """Stacked layers of one kind of cell (a key of `cells.CELLS`).

    A state is (layers, vectors, batch, cells); the vectors are h and c for an LSTM, and h for the other kinds.
    """

    def __init__(self, kind: str, input_size: int, hidden_size: int, num_layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.kind = kind
        self._shape = num_layers, CELLS[kind].num_states, hidden_size
        self.layers = _MODULES[kind](input_size, hidden_size, num_layers, batch_first=True, dropout=dropout)

    def start(self, num_sequences: int) -> Tensor:
        """The empty state of a batch, (layers, vectors, num_sequences, cells)."""
        num_layers, num_vectors, hidden_size = self._shape
        return next(self.parameters()).new_zeros(num_layers, num_vectors, num_sequences, hidden_size)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Read x, (batch, time, inputs), from a state (None: empty).

        Returns the outputs of the last layer, (batch, time, cells), and the next state.
        """
        state = self.start(len(x)) if state is None else state
        h, *c = state.unbind(dim=1)
        if c:
            outputs, (h, *c) = self.layers(x, (h.contiguous(), c[0].contiguous()))
        else:
            outputs, h = self.layers(x, h.contiguous())
        return outputs, torch.stack([h, *c], dim=1)

    def step(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Read one step x, (batch, inputs); returns the last layer's output, (batch, cells), and the next state."""
        outputs, state = self(x[:, None], state)
        return outputs[:, 0], state

    def to_numpy(self) -> list[LayerWeights]:
        """The weights of each layer in the form that `model/cells.py` takes."""
        return [
            LayerWeights(*(parameter.detach().double().cpu().numpy().copy() for parameter in layer))
            for layer in self.layers.all_weights
        ]
