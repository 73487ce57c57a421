"""Gradient descent, once: batches in an order that a resumed training repeats, clipping, schedule, and the resume.

A snapshot is one safetensors file: `network.NAME` of each tensor that is learnt, `optimizer.NUMBER.NAME` of the
optimizer's state of each parameter, `step`, and as metadata what else the caller has to keep.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim.lr_scheduler import LambdaLR

from model.clipping import Clipping
from model.files import write_whole

Batch = TypeVar("Batch")
Schedule = Callable[[int], float]
"""Step -> the factor of the learning rate at that step."""

SEED_STRIDE = 1_000_003  # between the seeds of two trainings, so that their steps share none


def constant(factor: float) -> Schedule:
    """The schedule of a learning rate that stays."""
    return lambda _: factor


def warm_up_then_decay(num_warmup: float, num_steps: int) -> Schedule:
    """Rises in a line over the first `num_warmup` steps, then falls in a line to zero at `num_steps`."""
    return lambda step: min(1.0, (step + 1) / (num_warmup + 1)) * (1 - step / num_steps)


def clip_gradients(parameters: Iterable[Tensor], clipping: Clipping) -> None:
    """Clip the gradients of `parameters` by torch's own functions; what each kind does stands in `Clipping`."""
    parameters = [parameter for parameter in parameters if parameter.grad is not None]
    if clipping.kind == "value" and parameters:
        clip_grad_value_(parameters, clipping.bound)
    elif clipping.kind == "norm":
        for parameter in parameters:
            clip_grad_norm_(parameter, clipping.bound)
    elif clipping.kind == "global-norm":
        clip_grad_norm_(parameters, clipping.bound)


class TrainingLoop:
    """The steps of one training. `num_done` counts them, those before a resume included."""

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        optimizer: torch.optim.Optimizer,
        *,
        clipping: Clipping,
        seed: int | None = None,
    ) -> None:
        """`tensors` are what a snapshot keeps of the network, by name, and share their memory with it.

        `seed` seeds torch before every step, so that a step that is repeated draws the same dropout; None leaves that
        to the caller.
        """
        self.num_done = 0
        self._tensors = {name: tensor.detach() for name, tensor in tensors.items()}
        self._optimizer = optimizer
        self._parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self._clipping = clipping
        self._seed = seed

    def run(
        self, batches: Iterable[Batch], loss: Callable[[Batch], Tensor], schedule: Schedule | None = None
    ) -> Iterator[float]:
        """Make one step for each of `batches` and yield its loss.

        `batches` begin with that of step `num_done`. `loss` reads a batch and returns a scalar. The learning rates of
        the optimizer's groups are multiplied by `schedule` of the step, by default not at all.
        """
        first, factor = self.num_done, schedule or constant(1.0)
        rates = LambdaLR(self._optimizer, lambda num_steps: factor(first + num_steps))
        for batch in batches:
            if self._seed is not None:
                torch.manual_seed(self._seed * SEED_STRIDE + self.num_done)
            found = loss(batch)
            self._optimizer.zero_grad()
            found.backward()  # type: ignore[no-untyped-call]
            clip_gradients(self._parameters, self._clipping)
            self._optimizer.step()
            rates.step()
            self.num_done += 1
            yield found.item()

    def save(self, file: Path, progress: object = None) -> None:
        """Write a snapshot, whole or not at all; `progress` is kept as JSON."""
        tensors = {f"network.{name}": tensor for name, tensor in self._tensors.items()}
        for number, state in self._optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": tensor for name, tensor in state.items()}
        tensors["step"] = torch.tensor(self.num_done)
        write_whole(file, save(tensors, {"progress": json.dumps(progress)}))

    def load(self, file: Path) -> Any:
        """Restore a snapshot where there is one, and return its `progress`; None where nothing was saved."""
        if not file.exists():
            return None
        with safe_open(file, "pt") as snapshot:
            saved = {name: snapshot.get_tensor(name) for name in snapshot.keys()}  # noqa: SIM118 - not a mapping
            metadata = snapshot.metadata() or {}
        for name, tensor in self._tensors.items():
            tensor.copy_(saved[f"network.{name}"])
        states: dict[int, dict[str, Tensor]] = {}
        for key, tensor in saved.items():
            if key.startswith("optimizer."):
                _, number, name = key.split(".")
                states.setdefault(int(number), {})[name] = tensor
        self._optimizer.load_state_dict(self._optimizer.state_dict() | {"state": states})
        self.num_done = int(saved["step"])
        return json.loads(metadata.get("progress", "null"))
