"""Clipping by value, by norm and by global norm: what it promises, and that torch does the same."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.cells import Array
from model.clipping import Clipping

entries = st.lists(st.floats(-100, 100, allow_subnormal=False), min_size=1, max_size=5)
gradients = st.lists(entries.map(np.array), min_size=1, max_size=4)
bounds = st.floats(0.01, 200)


def _clipped(kind: str, bound: float, before: list[Array]) -> list[Array]:
    after = [gradient.copy() for gradient in before]
    Clipping(kind, bound).apply(after)
    return after


def _parameters(before: list[Array]) -> list[torch.Tensor]:
    parameters = [torch.zeros(len(gradient), dtype=torch.float64) for gradient in before]
    for parameter, gradient in zip(parameters, before, strict=True):
        parameter.grad = torch.from_numpy(gradient.copy())
    return parameters


def _assert_same(ours: list[Array], theirs: list[torch.Tensor]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other.grad, rtol=1e-3, atol=1e-9)  # torch divides by the norm + 1e-6


@given(gradients, bounds)
def test_by_value_every_entry_is_brought_within_the_bound(before: list[Array], bound: float) -> None:
    parameters = _parameters(before)
    torch.nn.utils.clip_grad_value_(parameters, bound)
    _assert_same(_clipped("value", bound, before), parameters)


@given(gradients, bounds)
def test_by_norm_each_gradient_is_shortened_on_its_own(before: list[Array], bound: float) -> None:
    parameters = _parameters(before)
    for parameter in parameters:
        torch.nn.utils.clip_grad_norm_([parameter], bound)
    _assert_same(_clipped("norm", bound, before), parameters)


@given(gradients, bounds)
def test_by_global_norm_all_are_shortened_together(before: list[Array], bound: float) -> None:
    parameters = _parameters(before)
    torch.nn.utils.clip_grad_norm_(parameters, bound)
    _assert_same(_clipped("global-norm", bound, before), parameters)


@given(gradients, bounds)
def test_without_clipping_nothing_changes(before: list[Array], bound: float) -> None:
    for one, other in zip(_clipped("none", bound, before), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_torch_gradient_is_clipped_in_place() -> None:
    parameter = torch.zeros(2, requires_grad=True)
    (parameter * torch.tensor([30.0, 40.0])).sum().backward()  # type: ignore[no-untyped-call]
    assert parameter.grad is not None
    Clipping("global-norm", 5.0).apply([parameter.grad.numpy()])
    torch.testing.assert_close(parameter.grad, torch.tensor([3.0, 4.0]))
