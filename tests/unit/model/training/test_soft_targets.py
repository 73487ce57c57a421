"""Soft targets: the weights of the teachers' logits, and their mixture with labels."""

from __future__ import annotations

import numpy as np

from model.config import TrainConfig
from model.data.corpora import Example
from model.data.splits import Splits
from model.text.tokenizer import Tokenizer
from model.training.distillation.soft_targets import best_weights, make_soft_targets

SHARES = np.array([0.2, 0.5, 0.3])


def _drawn(num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits for balanced classes, and labels sampled from their probabilities under SHARES."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (num, 3))
    odds = np.exp(logits) * SHARES
    labels = (rng.random((num, 1)) > np.cumsum(odds / odds.sum(axis=1, keepdims=True), axis=1)).sum(axis=1)
    return logits.astype(np.float32), labels


def test_a_teacher_with_doubled_logits_has_half_the_weight() -> None:
    logits, labels = _drawn(20_000, seed=1)
    np.testing.assert_allclose(best_weights([2 * logits], labels), [0.5], atol=0.03)


def test_a_teacher_that_guesses_has_no_weight_beside_a_calibrated_one() -> None:
    logits, labels = _drawn(20_000, seed=2)
    guesses, _ = _drawn(20_000, seed=3)
    np.testing.assert_allclose(best_weights([logits, guesses], labels), [1, 0], atol=0.05)


def test_smoothed_labels_are_mixed_with_soft_targets_under_the_class_shares_of_their_corpus() -> None:
    tweets = [Example(str(i), f"tweet {i}", label) for i, label in enumerate([0, 1, 1, 2])]
    splits = Splits(labelled={"semeval": tweets}, held={}, topics=[], unlabelled=[])
    texts = [*(tweet.text for tweet in tweets), "one held"]
    balanced = {
        "semeval": (texts, np.zeros((5, 3), np.float32)),
        "sentences": (["a film"], np.zeros((1, 3), np.float32)),
    }
    encoded_tweets, encoded_sentences = make_soft_targets(
        splits, balanced, Tokenizer(["tweet"], num_buckets=2), TrainConfig(label_share=0.5, label_smoothing=0.3)
    )
    shares = np.array([0.25, 0.5, 0.25])
    np.testing.assert_allclose(encoded_tweets.targets[0], 0.5 * shares + [0.4, 0.05, 0.05], atol=1e-6)
    np.testing.assert_allclose(encoded_tweets.targets[4], shares, atol=1e-6)
    np.testing.assert_allclose(np.exp(encoded_tweets.log_prior[0]), encoded_tweets.targets.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(encoded_sentences.targets[0], 1 / 3, atol=1e-6)
    np.testing.assert_allclose(encoded_sentences.log_prior, 0)


def test_label_smoothing_leaves_out_classes_that_the_corpus_lacks() -> None:
    reviews = [Example(str(i), f"review {i}", label) for i, label in enumerate([0, 2])]
    splits = Splits(labelled={"imdb": reviews}, held={}, topics=[], unlabelled=[])
    teacher_logits = {"imdb": (["bad", "good"], np.zeros((2, 3), np.float32))}
    (read,) = make_soft_targets(
        splits, teacher_logits, Tokenizer(["good"], num_buckets=2), TrainConfig(label_share=0.5, label_smoothing=0.2)
    )
    np.testing.assert_allclose(read.targets, [[0.7, 0, 0.3], [0.3, 0, 0.7]], atol=1e-6)


def test_soft_targets_of_a_corpus_without_neutral_texts_have_two_classes() -> None:
    splits = Splits(labelled={}, held={}, topics=[], unlabelled=[])
    (read,) = make_soft_targets(
        splits, {"imdb_unlabelled": (["a film"], np.float32([[1, 5, 1]]))}, Tokenizer(["film"], 2), TrainConfig()
    )
    np.testing.assert_allclose(read.targets, [[0.5, 0, 0.5]], atol=1e-6)
    assert read.log_prior[0, 1] < -40
