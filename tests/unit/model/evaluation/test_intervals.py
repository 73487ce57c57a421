"""Macro-F1 and the intervals of figures, against values computed by hand or by another library."""

from __future__ import annotations

import numpy as np
import pytest

from model.evaluation.intervals import accuracy_interval, macro_f1, macro_f1_interval


def test_macro_f1_is_the_mean_of_the_classes_f1() -> None:
    confusion = np.array([[8, 0, 2], [0, 0, 0], [4, 0, 6]])
    assert macro_f1(confusion, (0, 2)) == pytest.approx((2 * 8 / 22 + 2 * 6 / 18) / 2)
    assert macro_f1(np.diag([5, 3, 2]), (0, 1, 2)) == 1
    assert macro_f1(np.array([[0, 4, 0], [0, 4, 0], [0, 4, 0]]), (0, 1, 2)) == pytest.approx(2 * 4 / 16 / 3)


def test_the_interval_of_an_accuracy_is_wilsons() -> None:
    assert accuracy_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-4)  # Newcombe 1998, table I
    low, high = accuracy_interval(20, 20)
    assert (low, high) == pytest.approx((0.8389, 1.0), abs=5e-4)


def test_the_interval_of_macro_f1_holds_the_figure_and_narrows_with_more_texts() -> None:
    confusion = np.array([[40, 8, 2], [10, 30, 10], [3, 9, 38]])
    low, high = macro_f1_interval(confusion, (0, 1, 2))
    assert low < macro_f1(confusion, (0, 1, 2)) < high
    narrower_low, narrower_high = macro_f1_interval(100 * confusion, (0, 1, 2))
    assert narrower_high - narrower_low == pytest.approx((high - low) / 10, rel=0.15)
