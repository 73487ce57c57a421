"""The figures of an evaluation, by hand and against scikit-learn, and the states that each mode gives the engine."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.data.corpora import Example
from model.errors import DataError
from model.evaluation.evaluate import (
    CARRIED,
    RESET,
    SHUFFLED,
    TEXTS_PER_CALL,
    Row,
    confusion_matrix,
    evaluate_examples,
    macro_recall,
)

THREE, TWO = (0, 1, 2), (0, 2)

LABELS = np.array([0, 0, 0, 1, 2, 2])
PROBABILITIES = np.array(
    [
        [0.8, 0.1, 0.1],  # right
        [0.3, 0.5, 0.2],  # neutral instead of negative
        [0.1, 0.2, 0.7],  # positive instead of negative
        [0.2, 0.6, 0.2],  # right
        [0.1, 0.1, 0.8],  # right
        [0.1, 0.5, 0.4],  # neutral instead of positive
    ]
)


def test_the_confusion_matrix_counts_texts_by_true_and_predicted_class() -> None:
    assert confusion_matrix(LABELS, PROBABILITIES, THREE).tolist() == [[1, 1, 1], [0, 1, 0], [0, 1, 1]]


def test_on_two_classes_neutral_is_never_predicted() -> None:
    kept = LABELS != 1
    confusion = confusion_matrix(LABELS[kept], PROBABILITIES[kept], TWO)
    assert confusion.tolist() == [[2, 0, 1], [0, 0, 0], [0, 0, 2]]
    assert macro_recall(confusion, TWO) == pytest.approx((2 / 3 + 1) / 2)


def test_macro_recall_is_the_mean_of_the_recalls_of_the_classes() -> None:
    assert macro_recall(confusion_matrix(LABELS, PROBABILITIES, THREE), THREE) == pytest.approx((1 / 3 + 1 + 1 / 2) / 3)


def _unit(rows: list[list[float]]) -> NDArray[np.float64]:
    array = np.array(rows) + 1e-3
    normed: NDArray[np.float64] = array / array.sum(axis=1, keepdims=True)
    return normed


@given(
    st.lists(st.tuples(st.integers(0, 2), st.lists(st.floats(0, 1), min_size=3, max_size=3)), min_size=3, max_size=60)
)
def test_the_figures_are_those_of_scikit_learn(rows: list[tuple[int, list[float]]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn comes with pip install '.[train]'")
    labels = np.array([label for label, _ in rows] + [0, 1, 2])
    probabilities = _unit([row for _, row in rows] + [[0.5, 0.3, 0.2]] * 3)
    guesses = probabilities.argmax(axis=1)
    confusion = confusion_matrix(labels, probabilities, THREE)
    assert confusion.tolist() == metrics.confusion_matrix(labels, guesses, labels=THREE).tolist()
    assert confusion.trace() / len(labels) == pytest.approx(metrics.accuracy_score(labels, guesses))
    assert macro_recall(confusion, THREE) == pytest.approx(metrics.balanced_accuracy_score(labels, guesses))


@dataclass
class _Reply:
    probabilities: tuple[float, float, float]
    state: tuple[str, ...]


class _RecordingEngine:
    """Returns the texts of the stream so far as its state, and positive from a stream's second text on."""

    def __init__(self) -> None:
        self.histories: list[tuple[str, ...]] = []  # of every text: the earlier texts of its stream

    def score(self, requests: Sequence[Any]) -> list[_Reply]:
        states: dict[Hashable, tuple[str, ...]] = {}
        replies = []
        for request in requests:
            before = states.get(request.stream, request.state or ())
            states[request.stream] = (*before, request.text)
            self.histories.append(before)
            replies.append(_Reply((0.1, 0.2, 0.7) if before else (0.7, 0.2, 0.1), states[request.stream]))
        return replies


def _examples(num: int) -> list[Example]:
    """Texts of two films in turn, but every third text without a stream."""
    return [Example(str(i), f"text {i}", 2 * (i % 2), (f"film {i % 2}" if i % 3 else None)) for i in range(num)]


def _read(mode: str, examples: Sequence[Example]) -> tuple[_RecordingEngine, Row]:
    engine = _RecordingEngine()
    return engine, evaluate_examples(engine, "a corpus", examples, mode)  # type: ignore[arg-type]


def test_reset_reads_every_text_from_an_empty_state() -> None:
    engine, row = _read(RESET, _examples(30))
    assert engine.histories == [()] * 30
    assert (row.num_texts, row.accuracy, row.num_neutral) == (30, 0.5, 0)


def test_carried_gives_each_text_the_state_of_its_own_stream_across_calls() -> None:
    examples = _examples(TEXTS_PER_CALL + 50)
    engine, _ = _read(CARRIED, examples)
    seen: dict[str, tuple[str, ...]] = {}
    for example, history in zip(examples, engine.histories, strict=True):
        if example.stream is None:
            assert history == ()
        else:
            assert history == seen.get(example.stream, ())
            seen[example.stream] = (*history, example.text)


def test_shuffled_keeps_the_lengths_of_the_streams_and_permutes_the_texts() -> None:
    examples = _examples(120)
    (carried, _), (shuffled, _) = _read(CARRIED, examples), _read(SHUFFLED, examples)
    assert sorted(map(len, shuffled.histories)) == sorted(map(len, carried.histories))
    films = [{int(text.split()[1]) % 2 for text in history} for history in shuffled.histories if len(history) > 10]
    assert all(film == {0, 1} for film in films)


def test_labels_of_one_class_cannot_be_measured() -> None:
    with pytest.raises(DataError, match="two classes"):
        _read(RESET, [Example("a", "x", 2), Example("b", "y", 2)])
