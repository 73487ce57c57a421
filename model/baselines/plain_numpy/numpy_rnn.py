"""A recurrent network in plain numpy: an RNN layer, and a linear readout of classes from its state after every input.

Inputs are ids of letters or words, read as one-hot vectors. Elman 1990, "Finding Structure in Time".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np

from model.cells import CELLS, Array, LayerWeights, Pass, layer_backward, run_layer
from model.reference import softmax

_CELL = CELLS["rnn"]


class ForwardPass(NamedTuple):
    """The forward pass over a sequence, with what the backward pass needs."""

    run: Pass
    logits: Array  # (time, classes)
    probabilities: Array  # (time, classes)


class PlainRnn(NamedTuple):
    """The weights of the network, or the derivatives of a loss with respect to them."""

    layer: LayerWeights
    readout: Array  # (classes, cells)
    bias: Array  # (classes,)

    @classmethod
    def random(cls, num_inputs: int, hidden_size: int, num_classes: int, rng: np.random.Generator) -> Self:
        """Normal weights with mean 0 and standard deviation 0.1; zero biases."""
        layer = LayerWeights(
            rng.normal(0, 0.1, (hidden_size, num_inputs)),
            rng.normal(0, 0.1, (hidden_size, hidden_size)),
            np.zeros(hidden_size),
            np.zeros(hidden_size),
        )
        return cls(layer, rng.normal(0, 0.1, (num_classes, hidden_size)), np.zeros(num_classes))

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Array]) -> Self:
        """The network that `tensors` made `tensors` of. Raises KeyError if one is missing."""
        layer = LayerWeights(*(tensors[f"layer.{name}"] for name in LayerWeights._fields))
        return cls(layer, tensors["readout"], tensors["bias"])

    def tensors(self) -> dict[str, Array]:
        """Name -> the array itself, so that a change to it changes the network."""
        layer = {f"layer.{name}": array for name, array in self.layer._asdict().items()}
        return layer | {"readout": self.readout, "bias": self.bias}

    @property
    def num_parameters(self) -> int:
        """Number of entries of all weights."""
        return sum(array.size for array in self.tensors().values())

    def read(self, ids: Sequence[int], state: Array | None = None) -> ForwardPass:
        """Read a sequence of ids from a state, (1, cells), by default the empty one."""
        inputs = np.eye(self.layer.weight_ih.shape[1])[list(ids)]
        run = run_layer(_CELL, self.layer, inputs, np.zeros((1, len(self.layer.weight_hh))) if state is None else state)
        logits = run.outputs @ self.readout.T + self.bias
        return ForwardPass(run, logits, softmax(logits))

    def gradients(self, forward: ForwardPass, d_logits: Array) -> PlainRnn:
        """The derivatives of a loss by all weights, given those by the logits, (time, classes)."""
        back = layer_backward(_CELL, self.layer, forward.run, d_logits @ self.readout)
        [layer] = back.weights
        return PlainRnn(layer, d_logits.T @ forward.run.outputs, d_logits.sum(axis=0))
