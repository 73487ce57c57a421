"""The loop of every training: it resumes exactly, clips by torch's functions and follows its schedule."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from model.clipping import KINDS, Clipping
from model.training_loop import TrainingLoop, clip_gradients, constant, warm_up_then_decay

NUM_STEPS = 12
BATCHES = [torch.randn(4, 3, generator=torch.Generator().manual_seed(number)) for number in range(NUM_STEPS)]


class Training:
    """A small network with dropout, whose every step matters."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Linear(3, 5), nn.Dropout(0.5), nn.Linear(5, 1))
        optimizer = torch.optim.Adam(self.network.parameters(), lr=0.05)
        self.loop = TrainingLoop(self.network.state_dict(), optimizer, clipping=Clipping("global-norm", 0.1), seed=7)
        self.rates: list[float] = []
        self._optimizer = optimizer

    def loss(self, batch: Tensor) -> Tensor:
        self.rates.append(self._optimizer.param_groups[0]["lr"])
        return mse_loss(self.network(batch)[:, 0], batch.sum(dim=1))

    def run(self, end: int = NUM_STEPS) -> list[float]:
        batches = BATCHES[self.loop.num_done : end]
        return list(self.loop.run(batches, self.loss, warm_up_then_decay(3, NUM_STEPS)))

    def weights(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self.network.state_dict().items()}


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, right[name]) for name, tensor in left.items())


@pytest.mark.parametrize("killed_after", range(NUM_STEPS + 1))
def test_a_training_that_resumes_after_any_step_ends_with_the_same_weights(killed_after: int, tmp_path: Path) -> None:
    whole = Training()
    losses = whole.run()
    first = Training()
    early = first.run(killed_after)
    first.loop.save(tmp_path / "steps.safetensors", {"seconds": 1.5})
    second = Training()
    assert second.loop.load(tmp_path / "steps.safetensors") == {"seconds": 1.5}
    assert early + second.run() == losses
    assert same(second.weights(), whole.weights())
    assert second.loop.num_done == NUM_STEPS


def test_without_a_snapshot_a_training_begins_at_its_first_step(tmp_path: Path) -> None:
    loop = Training().loop
    assert loop.load(tmp_path / "steps.safetensors") is None
    assert loop.num_done == 0


def test_the_learning_rate_of_every_step_is_that_of_the_schedule() -> None:
    training = Training()
    training.run()
    schedule = warm_up_then_decay(3, NUM_STEPS)
    assert training.rates == pytest.approx([0.05 * schedule(step) for step in range(NUM_STEPS)])


def test_a_schedule_rises_over_the_warm_up_and_falls_to_zero() -> None:
    schedule = warm_up_then_decay(3, 10)
    assert [schedule(step) for step in range(4)] == pytest.approx([0.25, 0.5 * 0.9, 0.75 * 0.8, 0.7])
    assert schedule(10) == 0


def test_runs_that_follow_each_other_each_have_their_own_rate() -> None:
    training = Training()
    for factor in (1.0, 0.5):
        list(training.loop.run(BATCHES[:2], training.loss, constant(factor)))
    assert training.rates == pytest.approx([0.05, 0.05, 0.025, 0.025])


@given(
    gradients=st.lists(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=4), min_size=1, max_size=3),
    kind=st.sampled_from(KINDS),
    bound=st.floats(0.01, 50),
)
def test_clipping_does_to_torchs_gradients_what_it_does_to_numpys(
    gradients: list[list[float]], kind: str, bound: float
) -> None:
    clipping = Clipping(kind, bound)
    parameters = [nn.Parameter(torch.zeros(len(gradient))) for gradient in gradients]
    arrays = [torch.tensor(gradient).double().numpy() for gradient in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = torch.tensor(gradient)
    clip_gradients(parameters, clipping)
    clipping.apply(arrays)
    for parameter, array in zip(parameters, arrays, strict=True):
        assert parameter.grad is not None
        # torch divides by the norm plus 1e-6
        assert parameter.grad.numpy() == pytest.approx(array, rel=1e-3, abs=1e-4)


def test_a_parameter_without_a_gradient_is_left_alone() -> None:
    for kind in KINDS:
        clip_gradients([nn.Parameter(torch.zeros(2))], Clipping(kind))
