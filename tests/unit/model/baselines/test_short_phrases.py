"""phrases-numpy: the phrases that it draws, and its accuracy on phrases that it was not trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.baselines import find_baseline, run_baseline
from model.baselines.plain_numpy.numpy_rnn import PlainRnn
from model.baselines.plain_numpy.short_phrases import (
    CLASSES,
    WORDS,
    ShortPhrase,
    ShortPhraseConfig,
    draw_phrases,
    read_phrase,
)
from model.errors import ConfigError

BASELINE = find_baseline("phrases-numpy")
NEGATIONS = {WORDS.index(word) for word in WORDS if word in ("not", "never", "anything", "far")}
GOOD = {WORDS.index(word) for word in ("great", "excellent")}


@given(seed=st.integers(0, 2**32))
@settings(max_examples=10)
def test_phrases_are_distinct_and_a_negation_reverses_their_words(seed: int) -> None:
    phrases = draw_phrases(seed, 78)
    assert len({phrase.ids for phrase in phrases}) == len(phrases) == 78
    for phrase in phrases:
        assert phrase.negated == bool(NEGATIONS & set(phrase.ids))
        assert (phrase.label == CLASSES.index("positive")) == (bool(GOOD & set(phrase.ids)) != phrase.negated)


def test_a_seed_fixes_the_phrases() -> None:
    assert draw_phrases(5, 30) == draw_phrases(5, 30) != draw_phrases(6, 30)


def test_every_phrase_outside_the_training_is_classified_correctly(tmp_path: Path) -> None:
    assert (BASELINE.config.num_train, BASELINE.config.num_test) == (58, 20)
    outcome = run_baseline(BASELINE, BASELINE.config, None, tmp_path)
    assert outcome.figures == {"test accuracy": 1, "train accuracy": 1}
    assert outcome.curve[0].loss > 10 * outcome.curve[-1].loss
    assert "58 (" in outcome.notes[0]
    assert "20 (" in outcome.notes[0]


def test_more_phrases_than_the_grammar_has_are_refused() -> None:
    with pytest.raises(ConfigError, match="num_train and num_test must be at most"):
        ShortPhraseConfig(num_train=500)


@settings(max_examples=20)
@given(ids=st.lists(st.integers(0, len(WORDS) - 1), min_size=1, max_size=7), label=st.integers(0, 1))
def test_gradients_through_time_are_the_slopes_of_the_loss_of_the_last_state(ids: list[int], label: int) -> None:
    network = PlainRnn.random(len(WORDS), 6, len(CLASSES), np.random.default_rng(len(ids)))
    for weights in network.tensors().values():
        weights[:] *= 5  # so that no slope is close to 0
    phrase = ShortPhrase(tuple(ids), label, negated=False)
    gradients = network.gradients(*read_phrase(network, phrase)).tensors()

    def loss() -> float:
        return -float(np.log(network.read(ids).probabilities[-1, label]))

    for name, place in (("layer.weight_ih", (0, ids[0])), ("layer.weight_hh", (1, 2)), ("layer.bias_hh", (3,))):
        weights = network.tensors()[name]
        value, losses = weights[place], []
        for moved in (value + 1e-5, value - 1e-5):
            weights[place] = moved
            losses.append(loss())
        weights[place] = value
        assert gradients[name][place] == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-4, abs=1e-8), name
