"""Tests of the oracle: its gradients against finite differences, its forward pass against simple cases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model import ReferenceNetwork, StreamState
from model.checkpoint import load_checkpoint
from tests.unit.model.conftest import CONFIG

TEXTS = [[6, 7, 8, 33, 9], [10], [11, 12, 12, 13]]
CLASSES = [0, 2, 1]
STEP = 1e-5


def check_gradient(reference: ReferenceNetwork, tensor: Any, place: tuple[int, ...], gradient: Any) -> None:
    """Hold one element of a gradient to the difference of two losses."""
    value = tensor[place]
    losses = []
    for moved in (value + STEP, value - STEP):
        tensor[place] = moved
        losses.append(reference.loss(TEXTS, CLASSES))
    tensor[place] = value
    assert gradient[place] == pytest.approx((losses[0] - losses[1]) / (2 * STEP), rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("name", sorted(CONFIG.tensor_shapes()))
def test_a_gradient_is_the_slope_of_the_loss(reference: ReferenceNetwork, name: str) -> None:
    _, gradients = reference.loss_and_gradients(TEXTS, CLASSES)
    tensor = reference.tensors[name]
    rng = np.random.default_rng(0)
    places = [tuple(place) for place in np.argwhere(gradients[name])]
    assert places, "every tensor affects the loss"
    for place in rng.permutation(places)[:20]:
        check_gradient(reference, tensor, tuple(place), gradients[name])


@pytest.mark.parametrize("bound", [None, 0.2, 1.5])
def test_the_gradients_through_the_stream_hold_for_any_bound(checkpoint: Path, bound: float | None) -> None:
    loaded = load_checkpoint(checkpoint)
    reference = ReferenceNetwork(replace(loaded, config=replace(loaded.config, stream_bound=bound)))
    _, gradients = reference.loss_and_gradients(TEXTS, CLASSES)
    for name in ("stream.readout.weight", "stream.lstm.bias", "readout.bias", "word.lstm.bias"):
        tensor = reference.tensors[name]
        for place in np.ndindex(tensor.shape):
            check_gradient(reference, tensor, place, gradients[name])


def test_rows_of_the_embedding_that_were_not_read_have_no_gradient(reference: ReferenceNetwork) -> None:
    _, gradients = reference.loss_and_gradients(TEXTS, CLASSES)
    read = np.flatnonzero(np.any(gradients["word.embedding.weight"], axis=1))
    assert read.tolist() == sorted({row for text in TEXTS for row in text})


def test_the_loss_matches_the_probabilities_of_read(reference: ReferenceNetwork) -> None:
    texts = ["good movie", "hate it", "so late !"]
    ids = [reference._tokenizer.encode(text) for text in texts]
    read = reference.read([(text, True) for text in texts])
    expected = -sum(np.log(result.probabilities[label]) for result, label in zip(read, CLASSES, strict=True))
    assert reference.loss(ids, CLASSES) == pytest.approx(expected, abs=1e-6)


def test_an_empty_text_on_an_empty_state_gets_the_probabilities_of_the_bias(reference: ReferenceNetwork) -> None:
    bias = reference.tensors["readout.bias"] / np.exp(reference.tensors["calibration.log_temperature"][0])
    [result] = reference.read([("", True)])
    np.testing.assert_allclose(result.probabilities, np.exp(bias) / np.exp(bias).sum(), atol=1e-7)
    assert result.state.num_texts == 1


def test_an_empty_state_adds_nothing(reference_without_carry: ReferenceNetwork, reference: ReferenceNetwork) -> None:
    for text in ("good movie", "bad"):
        [carried], [alone] = reference.read([(text, True)]), reference_without_carry.read([(text, True)])
        np.testing.assert_array_equal(carried.probabilities, alone.probabilities)


def test_a_stream_is_read_the_same_in_two_calls(reference: ReferenceNetwork) -> None:
    texts = [("good", True), ("so b", False), ("ad and", False), (" late", True), ("love", True)]
    whole = reference.read(texts)
    for split in range(1, len(texts)):
        begin = reference.read(texts[:split])
        end = reference.read(texts[split:], begin[-1].state)
        for one, other in zip(begin + end, whole, strict=True):
            np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-6)
        assert isinstance(end[-1].state, StreamState)


@pytest.fixture
def reference_without_carry(checkpoint: object) -> ReferenceNetwork:
    return ReferenceNetwork.load(checkpoint, carry=False)  # type: ignore[arg-type]
