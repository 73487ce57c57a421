"""Tests of the compiled loops: the error of their tanh, and that numbers that are not finite stay so."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from model.inference.kernels import gates


def test_tanh_has_an_error_of_less_than_5e_7_everywhere() -> None:
    x = np.concatenate([np.linspace(-20, 20, 400_001), np.logspace(-20, 0, 1000), [3e38, -3e38, 0.0]])
    assert np.abs(gates.tanh(x.astype(np.float32)) - np.tanh(x)).max() < 5e-7


def test_tanh_of_nan_is_nan_and_of_infinity_is_one() -> None:
    np.testing.assert_allclose(gates.tanh(np.array([np.nan, np.inf, -np.inf], np.float32)), [np.nan, 1, -1], rtol=1e-6)


def test_a_state_that_is_nan_stays_nan_through_a_step() -> None:
    hidden, cell = np.zeros((1, 8), np.float32), np.full((1, 8), np.nan, np.float32)
    sums, unscaled = np.zeros((1, 4, 8), np.float32), np.empty((0, 0), np.float32)
    gates.step_row(sums, 0, unscaled, sums, 0, unscaled, hidden, cell, 0)
    assert np.isnan(hidden).all()
    assert np.isnan(cell).all()


@given(npst.arrays(np.float32, (5, 8), elements=st.floats(-30, 30, width=32)))
def test_a_step_is_an_lstm_step(drawn: NDArray[np.float32]) -> None:
    """The gates' arguments are the sum of two terms and may be far in the range where the gates saturate."""
    gate_values, cell = drawn[:4].astype(np.float64), drawn[4].astype(np.float64)
    i, f, o = (0.5 * np.tanh(gate_values[k]) + 0.5 for k in (0, 1, 3))
    after = f * cell + i * np.tanh(gate_values[2])
    hidden, read, unscaled = np.zeros((1, 8), np.float32), drawn[4:].copy(), np.empty((0, 0), np.float32)
    half = drawn[None, :4] / 2
    gates.step_row(half, 0, unscaled, half, 0, unscaled, hidden, read, 0)
    np.testing.assert_allclose(read[0], after, rtol=2e-6, atol=5e-6)
    np.testing.assert_allclose(hidden[0], o * np.tanh(after), atol=2e-6)


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(-3, 3, width=32)), max_size=12))
def test_the_largest_changes_are_found_in_order(chunks: list[tuple[int, float]]) -> None:
    """chunks: the number of tokens of each chunk, and the positive logit after it."""
    logits = [[0.0, 0.0, 0.0]]
    for count, value in chunks:
        logits += [[0.0, 0.0, 9.0]] * max(count - 1, 0) + [[0.0, 0.0, value]] * (count > 0)
    rows = np.array(logits, np.float32)
    scores = (np.exp(rows[:, 2]) - 1) / (np.exp(rows[:, 2]) + 2)
    ends = np.cumsum([0] + [count for count, _ in chunks])
    moved = {
        number: scores[ends[number + 1]] - scores[ends[number]] for number, (count, _) in enumerate(chunks) if count
    }
    top, changes = np.empty((1, gates.MAX_WORDS), np.int64), np.empty((1, gates.MAX_WORDS), np.float32)
    gates.word_changes(
        rows,
        np.array([0]),
        np.array([1]),
        np.zeros((1, 3), np.float32),
        True,
        np.ones(1),
        np.array([count for count, _ in chunks], np.int64),
        np.array([0, len(chunks)]),
        top,
        changes,
    )
    found = [number for number in top[0].tolist() if number >= 0]
    assert len(found) == min(len(moved), gates.MAX_WORDS)
    largest = sorted(map(abs, moved.values()), reverse=True)[: gates.MAX_WORDS]
    np.testing.assert_allclose(np.abs(changes[0][: len(found)]), largest, atol=1e-6)
    np.testing.assert_allclose(changes[0][: len(found)], [moved[number] for number in found], atol=1e-6)
