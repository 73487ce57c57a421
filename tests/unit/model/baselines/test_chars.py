"""char-rnn: the network in plain numpy, and its training to spell a word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.baselines import Outcome, find_baseline, run_baseline
from model.baselines.plain_numpy.chars import MAX_LETTERS, Speller, Step
from model.baselines.plain_numpy.numpy_rnn import PlainRnn
from model.errors import ConfigError

BASELINE = find_baseline("char-rnn")
WORDS = st.text("abcde \u4f60\u597d", min_size=2, max_size=8)


def spell(run_dir: Path, **config: int | float | str) -> tuple[Outcome, Speller]:
    outcome = run_baseline(BASELINE, BASELINE.config_with(config), None, run_dir)
    return outcome, Speller.load(run_dir)


@pytest.mark.parametrize("word", ["hello", "mississippi", "aa", "\u4f60\u597d\u4f60\u4eec", "to be or not"])
def test_it_is_trained_until_it_spells_the_word_from_its_first_letter(tmp_path: Path, word: str) -> None:
    outcome, speller = spell(tmp_path, word=word)
    assert speller.spell() == word
    assert outcome.figures["letters right"] == 1
    assert outcome.figures["steps"] < BASELINE.config.max_steps
    assert f"spells {word!r}" in outcome.notes[0]
    shares = [step.probabilities[speller.letters.index(step.target)] for step in speller.forward_steps()]
    assert min(shares) >= BASELINE.config.min_probability


def test_a_bound_on_the_steps_ends_a_training_that_fails_and_says_what_to_do(tmp_path: Path) -> None:
    outcome, speller = spell(tmp_path, word="mississippi", max_steps=2)
    assert outcome.figures["steps"] == 2
    assert outcome.figures["letters right"] < 1
    assert speller.spell() != "mississippi"
    assert "not 'mississippi': raise max_steps or hidden_size" in outcome.notes[0]


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"word": ""}, "word must have at least 2 letters"),
        ({"word": "h"}, "word must have at least 2 letters, so that one follows another, not 'h'"),
        ({"word": "a" * (MAX_LETTERS + 1)}, f"at most {MAX_LETTERS} letters, not {MAX_LETTERS + 1}"),
        ({"word": "a\nb"}, "printable letters"),
        ({"min_probability": 0.5}, "min_probability must be above 0.5"),
        ({"hidden_size": 0, "max_steps": 0}, "hidden_size must be above 0; max_steps must be above 0"),
    ],
)
def test_words_that_cannot_be_learnt_are_refused(config: dict[str, str | int | float], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        BASELINE.config_with(config)


def test_a_directory_without_a_finished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no finished run of char-rnn"):
        Speller.load(tmp_path)


def _random_speller(word: str, seed: int) -> Speller:
    num_letters = len(set(word))
    network = PlainRnn.random(num_letters, 5, num_letters, np.random.default_rng(seed))
    for name, weights in network.tensors().items():
        weights[:] = np.random.default_rng((seed, len(name))).normal(0, 1, weights.shape)
    return Speller(word, network)


@settings(max_examples=30)
@given(word=WORDS, seed=st.integers(0, 99))
def test_the_steps_shown_are_those_of_the_layer_and_each_softmax_sums_to_one(word: str, seed: int) -> None:
    speller = _random_speller(word, seed)
    forward = speller.network.read([speller.letters.index(letter) for letter in word[:-1]])
    steps: list[Step] = list(speller.forward_steps())
    assert [step.letter + step.target for step in steps] == [word[i : i + 2] for i in range(len(word) - 1)]
    for step, h, logits, probabilities in zip(
        steps, forward.run.outputs, forward.logits, forward.probabilities, strict=True
    ):
        np.testing.assert_allclose(step.hidden, h[:], atol=1e-12)
        np.testing.assert_allclose(step.logits, logits, atol=1e-12)
        np.testing.assert_allclose(step.probabilities, probabilities, atol=1e-12)
        assert step.probabilities.sum() == pytest.approx(1)
        assert step.probabilities[speller.letters.index(step.guess)] == step.probabilities.max()


@settings(max_examples=20)
@given(word=WORDS, seed=st.integers(0, 99))
def test_gradients_are_the_slopes_of_the_loss(word: str, seed: int) -> None:
    network = _random_speller(word, seed).network
    letters = sorted(set(word))
    ids = [letters.index(letter) for letter in word]
    targets = np.eye(len(letters))[ids[1:]]

    def loss() -> float:
        return -float(np.log((network.read(ids[:-1]).probabilities * targets).sum(axis=1)).sum())

    forward = network.read(ids[:-1])
    gradients = network.gradients(forward, forward.probabilities - targets).tensors()
    rng = np.random.default_rng(seed)
    for name, weights in network.tensors().items():
        at = tuple(rng.integers(weights.shape))
        value = weights[at]
        weights[at] = value + 1e-5
        above = loss()
        weights[at] = value - 1e-5
        below = loss()
        weights[at] = value
        assert gradients[name][at] == pytest.approx((above - below) / 2e-5, rel=1e-4, abs=1e-7), name
