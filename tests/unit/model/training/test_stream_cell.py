"""Streams resampled for the stream cell: the labels of one set of streams, the texts of another."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.config import NUM_CLASSES
from model.data.corpora import Example
from model.training.batches import EncodedTexts
from model.training.stream_cell import ReadTexts, resample_streams

labels = st.lists(st.sampled_from([0, 2]), min_size=2, max_size=30).filter(lambda found: len(set(found)) == 2)
films = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([0, 1, 2])), min_size=1, max_size=50)


def _held(found: list[int]) -> ReadTexts:
    """Held-out texts: text n is the word n in a stream of its own, and its summary and logits are all n."""
    numbers = torch.arange(len(found), dtype=torch.float32)[:, None]
    targets = np.eye(NUM_CLASSES, dtype=np.float32)[found]
    ids = [np.array([number], np.int32) for number in range(len(found))]
    texts = EncodedTexts.of_corpus("held", ids, targets, [f"held {number}" for number in range(len(found))])
    return ReadTexts(texts, numbers.expand(-1, 5), numbers.expand(-1, NUM_CLASSES))


@given(labels, films.filter(lambda found: any(label != 1 for _, label in found)))
def test_streams_and_labels_stay_and_every_text_is_a_held_out_one_of_that_label(
    found: list[int], others: list[tuple[str, int]]
) -> None:
    examples = [Example(str(number), "never read", label, film) for number, (film, label) in enumerate(others)]
    held = _held(found)
    resampled = resample_streams(examples, held, np.random.default_rng(0))
    kept = [(film, label) for film, label in others if label != 1]  # no held-out text is neutral
    assert list(zip(resampled.texts.streams, resampled.texts.targets.argmax(axis=1), strict=True)) == kept
    for row, ids in enumerate(resampled.texts.ids):
        assert found[ids[0]] == resampled.texts.targets[row].argmax()
        assert resampled.z[row, 0] == resampled.logits[row, 0] == ids[0]


def test_texts_are_sampled_from_all_held_out_ones_with_another_result_for_another_seed() -> None:
    examples = [Example(str(number), "never read", 2 * (number % 2), "film") for number in range(400)]
    held = _held([0, 2] * 10)
    one, other = (
        [ids[0] for ids in resample_streams(examples, held, np.random.default_rng(seed)).texts.ids] for seed in (0, 1)
    )
    assert set(one) == set(other) == set(range(20))
    assert one != other


def test_the_class_shares_are_those_of_the_streams_and_not_of_the_held_out_texts() -> None:
    examples = [Example(str(number), "never read", 0 if number % 4 else 2, "film") for number in range(400)]
    resampled = resample_streams(examples, _held([0, 2, 2]), np.random.default_rng(0))
    assert np.exp(resampled.texts.log_prior[0, [0, 2]]) == pytest.approx([0.75, 0.25])
