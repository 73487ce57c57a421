"""Tests of the numpy cells, layers and networks: against torch, finite differences, and sequences cut in two."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.baselines.recurrent import RecurrentNetwork
from model.cells import CELLS, Array, LayerWeights, layers_backward, run_layer, run_layers

NUM_INPUTS, NUM_CELLS = 3, 4
CLOSE = {"rtol": 0, "atol": 1e-6}
STEP = 1e-5

kinds = st.sampled_from(sorted(CELLS))
depths, lengths, batches, seeds = st.integers(1, 3), st.integers(1, 7), st.integers(1, 3), st.integers(0, 2**31)
every_kind = pytest.mark.parametrize("kind", sorted(CELLS))


class Case:
    """A network in numpy and in torch with the same random weights, and its random inputs."""

    def __init__(self, kind: str, num_layers: int, time: int, batch: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        torch.manual_seed(seed)
        self.cell = CELLS[kind]
        self.network = RecurrentNetwork(kind, NUM_INPUTS, NUM_CELLS, num_layers).double()
        self.layers = self.network.to_numpy()
        self.inputs = rng.standard_normal((time, batch, NUM_INPUTS))
        self.states = rng.standard_normal((num_layers, self.cell.num_states, batch, NUM_CELLS))
        self.d_outputs = rng.standard_normal((time, batch, NUM_CELLS))
        self.d_states = rng.standard_normal(self.states.shape)

    def loss(self) -> float:
        """A weighted sum of outputs and final states. Its gradients for them are d_outputs and d_states."""
        passes = run_layers(self.cell, self.layers, self.inputs, self.states)
        ends = np.stack([run.states[-1] for run in passes])
        return float((passes[-1].outputs * self.d_outputs).sum() + (ends * self.d_states).sum())


def _torch(array: Array, *, wanted: bool = False) -> torch.Tensor:
    return torch.from_numpy(array).requires_grad_(wanted)


@settings(deadline=None)
@given(kinds, depths, lengths, batches, seeds)
def test_numpy_and_torch_agree_on_outputs_carried_state_and_gradients(
    kind: str, num_layers: int, time: int, batch: int, seed: int
) -> None:
    case = Case(kind, num_layers, time, batch, seed)
    inputs, states = _torch(case.inputs.swapaxes(0, 1).copy(), wanted=True), _torch(case.states, wanted=True)
    outputs, ends = case.network(inputs, states)
    passes = run_layers(case.cell, case.layers, case.inputs, case.states)
    np.testing.assert_allclose(passes[-1].outputs.swapaxes(0, 1), outputs.detach(), **CLOSE)
    np.testing.assert_allclose(np.stack([run.states[-1] for run in passes]), ends.detach(), **CLOSE)

    torch.autograd.backward([outputs, ends], [_torch(case.d_outputs.swapaxes(0, 1).copy()), _torch(case.d_states)])
    found = layers_backward(case.cell, case.layers, passes, case.d_outputs, case.d_states)
    assert inputs.grad is not None
    assert states.grad is not None
    np.testing.assert_allclose(found.inputs.swapaxes(0, 1), inputs.grad, **CLOSE)
    np.testing.assert_allclose(found.state, states.grad, **CLOSE)
    for ours, theirs in zip(found.weights, case.network.layers.all_weights, strict=True):
        for name, one, other in zip(LayerWeights._fields, ours, theirs, strict=True):
            np.testing.assert_allclose(one, other.grad, **CLOSE, err_msg=name)


@every_kind
def test_a_gradient_is_the_slope_of_the_loss(kind: str) -> None:
    case = Case(kind, num_layers=2, time=4, batch=2, seed=7)
    passes = run_layers(case.cell, case.layers, case.inputs, case.states)
    found = layers_backward(case.cell, case.layers, passes, case.d_outputs, case.d_states)
    pairs = [(case.inputs, found.inputs), (case.states, found.state)]
    for weights, slopes in zip(case.layers, found.weights, strict=True):
        pairs += zip(weights, slopes, strict=True)
    for values, gradient in pairs:
        for place in np.random.default_rng(0).permutation(values.size)[:12]:
            at = np.unravel_index(place, values.shape)
            value = values[at]
            losses = []
            for moved in (value + STEP, value - STEP):
                values[at] = moved
                losses.append(case.loss())
            values[at] = value
            assert gradient[at] == pytest.approx((losses[0] - losses[1]) / (2 * STEP), rel=1e-4, abs=1e-8)


@settings(deadline=None)
@given(kinds, depths, lengths, batches, seeds, st.integers(0, 7))
def test_a_sequence_is_read_the_same_in_two_pieces(
    kind: str, num_layers: int, time: int, batch: int, seed: int, cut: int
) -> None:
    case = Case(kind, num_layers, time, batch, seed)
    whole = run_layers(case.cell, case.layers, case.inputs, case.states)
    first = run_layers(case.cell, case.layers, case.inputs[:cut], case.states)
    carried = np.stack([run.states[-1] for run in first])
    second = run_layers(case.cell, case.layers, case.inputs[cut:], carried)
    outputs = np.concatenate([first[-1].outputs, second[-1].outputs])
    np.testing.assert_allclose(outputs, whole[-1].outputs, rtol=0, atol=1e-12)
    np.testing.assert_allclose(second[-1].states[-1], whole[-1].states[-1], rtol=0, atol=1e-12)

    d_second = layers_backward(case.cell, case.layers, second, case.d_outputs[cut:], case.d_states)
    d_first = layers_backward(case.cell, case.layers, first, case.d_outputs[:cut], d_second.state)
    d_whole = layers_backward(case.cell, case.layers, whole, case.d_outputs, case.d_states)
    np.testing.assert_allclose(d_first.state, d_whole.state, rtol=0, atol=1e-10)
    for one, other, sum_ in zip(d_first.weights, d_second.weights, d_whole.weights, strict=True):
        for of_first, of_second, of_whole in zip(one, other, sum_, strict=True):
            np.testing.assert_allclose(of_first + of_second, of_whole, rtol=0, atol=1e-10)


@settings(deadline=None)
@given(kinds, depths, lengths, seeds)
def test_a_layer_is_its_cell_step_by_step(kind: str, num_layers: int, time: int, seed: int) -> None:
    case = Case(kind, num_layers, time, batch=2, seed=seed)
    outputs, ends = case.network(_torch(case.inputs.swapaxes(0, 1).copy()), _torch(case.states))
    state = _torch(case.states)
    for x, expected in zip(_torch(case.inputs), outputs.swapaxes(0, 1), strict=True):
        h, state = case.network.step(x, state)
        torch.testing.assert_close(h, expected)
    torch.testing.assert_close(state, ends)

    [weights, *_] = case.layers
    run = run_layer(case.cell, weights, case.inputs, case.states[0])
    numpy_state = case.states[0]
    for x, expected_state in zip(case.inputs, run.states[1:], strict=True):
        sums = x @ weights.weight_ih.T + weights.bias_ih, numpy_state[0] @ weights.weight_hh.T + weights.bias_hh
        numpy_state, _ = case.cell.step(*sums, numpy_state)
        np.testing.assert_array_equal(numpy_state, expected_state)


@every_kind
def test_a_sequence_has_the_same_outputs_alone_and_in_a_batch(kind: str) -> None:
    case = Case(kind, num_layers=2, time=5, batch=3, seed=1)
    whole = run_layers(case.cell, case.layers, case.inputs, case.states)
    for row in range(3):
        alone = run_layers(case.cell, case.layers, case.inputs[:, row], case.states[:, :, row])
        np.testing.assert_allclose(alone[-1].outputs, whole[-1].outputs[:, row], rtol=0, atol=1e-12)


@every_kind
def test_torch_starts_from_an_empty_state(kind: str) -> None:
    case = Case(kind, num_layers=2, time=3, batch=2, seed=1)
    x = _torch(case.inputs.swapaxes(0, 1).copy())
    for one, other in zip(case.network(x), case.network(x, torch.zeros_like(_torch(case.states))), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
