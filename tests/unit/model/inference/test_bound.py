"""What a stream adds to a text is bounded, whatever its state: the law of `model/inference/bound.py`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from model import InferenceEngine, Request, StreamState
from model.checkpoint import load_checkpoint, save_checkpoint
from model.config import LABELS
from model.inference.bound import add_to_logits, bound_addend
from tests.unit.model.conftest import TEXTS, WORDS

Rows = NDArray[np.float32]
ROUNDING = 1e-5

rows = npst.arrays(np.float32, (4, 3), elements=st.floats(-50, 50, width=32))
bounds = st.sampled_from([0.25, 1.0, 1.5])


@given(rows, rows, bounds)
def test_no_logit_moves_by_more_than_the_bound(logits: Rows, addend: Rows, bound: float) -> None:
    moved = add_to_logits(logits, bound_addend(addend, bound), bound)
    assert np.abs(moved - logits).max() <= bound + ROUNDING


@given(rows, rows, bounds)
def test_neutral_keeps_its_lead_over_the_others_or_its_lag(logits: Rows, addend: Rows, bound: float) -> None:
    moved = add_to_logits(logits, bound_addend(addend, bound), bound)
    np.testing.assert_allclose(_lead_of_neutral(moved), _lead_of_neutral(logits), atol=ROUNDING)


@given(rows, rows, bounds)
def test_a_margin_of_more_than_twice_the_bound_is_never_turned(logits: Rows, addend: Rows, bound: float) -> None:
    moved = add_to_logits(logits, bound_addend(addend, bound), bound)
    before, after = logits[:, 2] - logits[:, 0], moved[:, 2] - moved[:, 0]
    assert np.abs(after - before).max() <= 2 * bound + 2 * ROUNDING
    clear = np.abs(before) > 2 * bound + 2 * ROUNDING
    assert (np.sign(after) == np.sign(before))[clear].all()


@given(rows, st.sampled_from([None, 0.25, 1.5]))
def test_an_addend_of_zero_leaves_the_logits_exactly_as_they_are(logits: Rows, bound: float | None) -> None:
    np.testing.assert_array_equal(add_to_logits(logits, bound_addend(np.zeros_like(logits), bound), bound), logits)


@given(rows, rows)
def test_without_a_bound_the_addend_is_added_as_it_is(logits: Rows, addend: Rows) -> None:
    np.testing.assert_array_equal(add_to_logits(logits, bound_addend(addend, None), None), logits + addend)


def _lead_of_neutral(logits: Rows) -> Rows:
    lead: Rows = logits[:, 1] - logits[:, ::2].max(axis=1)
    return lead


BOUND = 0.05


@pytest.fixture(scope="module", params=["float32", "int8"])
def strong(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, checkpoint: Path
) -> InferenceEngine:
    """An engine whose stream would turn nearly every text if it were not bounded. Its temperature is 1."""
    loaded = load_checkpoint(checkpoint)
    weights = loaded.weights | {"stream.readout.weight": 40 * loaded.weights["stream.readout.weight"]}
    weights["calibration.log_temperature"] = np.zeros(2, np.float32)
    folder = tmp_path_factory.mktemp("strong") / request.param
    config = replace(loaded.config, stream_bound=BOUND)
    save_checkpoint(folder, name="strong", config=config, words=WORDS, weights=weights)
    return InferenceEngine.load(folder, precision=request.param)


@given(TEXTS, npst.arrays(np.float32, (2, 6), elements=st.floats(-1000, 1000, width=32)), st.integers(0, 12))
def test_no_state_turns_a_text_whose_margin_is_more_than_twice_the_bound(
    strong: InferenceEngine, text: str, carried: Rows, cut: int
) -> None:
    (alone,) = strong.score([Request(0, text)])
    state = StreamState(carried, 3)
    *_, found = strong.score([Request(0, text[:cut], False, state), Request(0, text[cut:])])
    before, after = np.log(alone.probabilities), np.log(found.probabilities)
    assert abs((after[2] - after[0]) - (before[2] - before[0])) <= 2 * BOUND + ROUNDING
    if abs(before[1] - max(before[0], before[2])) > ROUNDING:
        assert (found.label == LABELS[1]) == (alone.label == LABELS[1])
    if abs(before[2] - before[0]) > 2 * BOUND + ROUNDING:
        assert found.label == alone.label


@given(TEXTS)
def test_an_empty_state_gives_exactly_the_text_network(strong: InferenceEngine, text: str) -> None:
    (alone,) = strong.score([Request(0, text)])
    (found,) = strong.score([Request(0, text, True, StreamState.empty(strong.config))])
    assert (found.probabilities, found.words) == (alone.probabilities, alone.words)
