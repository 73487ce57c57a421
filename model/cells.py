"""RNN, LSTM and GRU in plain numpy and double precision, with hand-written backward passes.

A cell takes one step (`Cell.step`), a layer runs a cell over a sequence (`run_layer`), and a network stacks layers
(`run_layers`). Each starts from a state and returns the state it ends in. Backpropagation through time
(`layer_backward`, `layers_backward`) gives the gradients of the weights, the inputs and the initial states.

Names, shapes, gate orders and formulas are those of torch.nn.RNN (tanh), LSTM and GRU, so that weights can be
exchanged. Sources: Elman 1990 (RNN); Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000 (LSTM);
Cho et al. 2014, with the reset gate applied after the matrix product (GRU). `...` in a shape is a batch dimension or
nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class LayerWeights(NamedTuple):
    """The weights of a layer, or the gradients of a loss with respect to them."""

    weight_ih: Array  # (gates * cells, inputs)
    weight_hh: Array  # (gates * cells, cells)
    bias_ih: Array  # (gates * cells,)
    bias_hh: Array  # (gates * cells,)


class Cell(ABC):
    """A kind of cell. Its state is (num_states, ..., cells); the first of the `num_states` arrays is the output h."""

    num_gates: ClassVar[int]
    num_states: ClassVar[int] = 1

    @abstractmethod
    def step(self, from_input: Array, from_hidden: Array, state: Array) -> tuple[Array, Array]:
        """Take one step; return the next state (num_states, ..., cells) and the activations that `step_backward` needs.

        from_input: W_ih x + b_ih. from_hidden: W_hh h + b_hh. Both are (..., gates * cells).
        """

    @abstractmethod
    def step_backward(self, kept: Array, before: Array, after: Array, d_after: Array) -> tuple[Array, Array, Array]:
        """The gradients of from_input, from_hidden and the state before the step.

        d_after is the gradient of the state after the step. The gradient of the state before it leaves out the path
        through from_hidden.
        """


class Rnn(Cell):
    """h' = tanh(a + b), where a is from_input and b is from_hidden."""

    num_gates = 1

    def step(self, from_input: Array, from_hidden: Array, state: Array) -> tuple[Array, Array]:  # noqa: D102
        h = np.tanh(from_input + from_hidden)
        return h[None], h[None]

    def step_backward(  # noqa: D102
        self, kept: Array, before: Array, after: Array, d_after: Array
    ) -> tuple[Array, Array, Array]:
        d_sum = d_after[0] * (1 - kept[0] ** 2)
        return d_sum, d_sum, np.zeros_like(before)


class Lstm(Cell):
    """c' = f c + i g and h' = o tanh(c'), with gates i, f, g, o of a + b."""

    num_gates, num_states = 4, 2

    def step(self, from_input: Array, from_hidden: Array, state: Array) -> tuple[Array, Array]:  # noqa: D102
        i, f, g, o = np.split(from_input + from_hidden, 4, axis=-1)
        i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
        c = f * state[1] + i * g
        return np.stack([o * np.tanh(c), c]), np.stack([i, f, g, o])

    def step_backward(  # noqa: D102
        self, kept: Array, before: Array, after: Array, d_after: Array
    ) -> tuple[Array, Array, Array]:
        i, f, g, o = kept
        d_h, tanh_c = d_after[0], np.tanh(after[1])
        d_c = d_after[1] + d_h * o * (1 - tanh_c**2)
        d_i, d_f, d_g, d_o = d_c * g, d_c * before[1], d_c * i, d_h * tanh_c
        d_sum = np.concatenate([d_i * i * (1 - i), d_f * f * (1 - f), d_g * (1 - g**2), d_o * o * (1 - o)], axis=-1)
        return d_sum, d_sum, np.stack([np.zeros_like(d_h), d_c * f])


class Gru(Cell):
    """h' = (1 - z) n + z h with gates r, z of a + b, and n = tanh(a_n + r b_n)."""

    num_gates = 3

    def step(self, from_input: Array, from_hidden: Array, state: Array) -> tuple[Array, Array]:  # noqa: D102
        (a_r, a_z, a_n), (b_r, b_z, b_n) = np.split(from_input, 3, axis=-1), np.split(from_hidden, 3, axis=-1)
        r, z = _sigmoid(a_r + b_r), _sigmoid(a_z + b_z)
        n = np.tanh(a_n + r * b_n)
        return ((1 - z) * n + z * state[0])[None], np.stack([r, z, n, b_n])

    def step_backward(  # noqa: D102
        self, kept: Array, before: Array, after: Array, d_after: Array
    ) -> tuple[Array, Array, Array]:
        r, z, n, b_n = kept
        [d_h] = d_after
        d_n = d_h * (1 - z) * (1 - n**2)
        d_r, d_z = d_n * b_n * r * (1 - r), d_h * (before[0] - n) * z * (1 - z)
        d_input, d_hidden = np.concatenate([d_r, d_z, d_n], axis=-1), np.concatenate([d_r, d_z, d_n * r], axis=-1)
        return d_input, d_hidden, (d_h * z)[None]


CELLS: Mapping[str, Cell] = {"rnn": Rnn(), "lstm": Lstm(), "gru": Gru()}
"""Name -> kind of cell."""


class Pass(NamedTuple):
    """The forward pass of a layer over a sequence, with the activations that its backward pass needs."""

    inputs: Array  # (time, ..., inputs)
    states: Array  # (time + 1, num_states, ..., cells): the initial state, then the state after each input
    kept: Array  # (time, ...): activations of each step

    @property
    def outputs(self) -> Array:
        """(time, ..., cells): h after each input."""
        return self.states[1:, 0]


class Gradients(NamedTuple):
    """The gradients of a loss, from a backward pass through one or several layers."""

    inputs: Array  # (time, ..., inputs)
    state: Array  # of the initial state, in its shape
    weights: tuple[LayerWeights, ...]  # one per layer


def run_layer(cell: Cell, weights: LayerWeights, inputs: Array, state: Array) -> Pass:
    """Run a layer over inputs (time, ..., inputs) from state (num_states, ..., cells)."""
    states, kept = [state], []
    for from_input in inputs @ weights.weight_ih.T + weights.bias_ih:
        from_hidden = state[0] @ weights.weight_hh.T + weights.bias_hh
        state, keep = cell.step(from_input, from_hidden, state)
        states.append(state)
        kept.append(keep)
    return Pass(inputs, np.stack(states), np.array(kept))


def layer_backward(
    cell: Cell, weights: LayerWeights, run: Pass, d_outputs: Array, d_state: Array | None = None
) -> Gradients:
    """Backpropagation through time.

    d_outputs is the gradient of `run.outputs`; d_state is that of the final state, or None for zero.
    """
    d_inputs_sum, d_hiddens_sum = [], []
    d_state = np.zeros_like(run.states[0]) if d_state is None else d_state
    for t in reversed(range(len(run.inputs))):
        d_after = d_state.copy()
        d_after[0] += d_outputs[t]
        d_input, d_hidden, d_state = cell.step_backward(run.kept[t], run.states[t], run.states[t + 1], d_after)
        d_state[0] += d_hidden @ weights.weight_hh
        d_inputs_sum.append(d_input)
        d_hiddens_sum.append(d_hidden)
    shape = (*run.inputs.shape[:-1], len(weights.bias_ih))
    by_input, by_hidden = (np.array(sums[::-1]).reshape(shape) for sums in (d_inputs_sum, d_hiddens_sum))
    rows_input, rows_hidden = by_input.reshape(-1, shape[-1]), by_hidden.reshape(-1, shape[-1])
    d_weights = LayerWeights(
        rows_input.T @ run.inputs.reshape(-1, run.inputs.shape[-1]),
        rows_hidden.T @ run.states[:-1, 0].reshape(-1, run.states.shape[-1]),
        rows_input.sum(axis=0),
        rows_hidden.sum(axis=0),
    )
    return Gradients(by_input @ weights.weight_ih, d_state, (d_weights,))


def run_layers(cell: Cell, layers: Sequence[LayerWeights], inputs: Array, states: Array) -> list[Pass]:
    """Run stacked layers from states (layers, num_states, ..., cells). The output is that of the last pass."""
    passes: list[Pass] = []
    for weights, state in zip(layers, states, strict=True):
        passes.append(run_layer(cell, weights, passes[-1].outputs if passes else inputs, state))
    return passes


def layers_backward(
    cell: Cell, layers: Sequence[LayerWeights], passes: Sequence[Pass], d_outputs: Array, d_states: Array | None = None
) -> Gradients:
    """`layer_backward` for stacked layers.

    d_outputs is the gradient of the last layer's outputs; d_states, (layers, num_states, ..., cells), is that of the
    final states, or None for zero.
    """
    found: list[Gradients] = []
    for number in reversed(range(len(layers))):
        d_state = None if d_states is None else d_states[number]
        found.append(layer_backward(cell, layers[number], passes[number], d_outputs, d_state))
        d_outputs = found[-1].inputs
    found.reverse()
    weights = tuple(layer.weights[0] for layer in found)
    return Gradients(d_outputs, np.stack([layer.state for layer in found]), weights)


def _sigmoid(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * x))
