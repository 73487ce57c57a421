"""The words of the small classifiers: cut from texts, numbered, and with the vectors of a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from model.baselines.classifiers.vocabulary import (
    PADDING,
    UNKNOWN,
    encode,
    lemmas,
    most_frequent,
    without_stop_words,
    words_of,
)
from model.errors import DataError, ModelError, VectorFileError
from tests.unit.model.baselines.small_runs import run_small, write_corpora


def test_words_are_lower_case_and_without_punctuation() -> None:
    assert words_of("It's GREAT!<br /><br/>Don\u2019t (ever) miss #1 caf\xe9...") == [
        "it's", "great", "don't", "ever", "miss", "1", "caf\xe9",
    ]  # fmt: skip


def test_the_most_frequent_words_come_first() -> None:
    assert most_frequent([["b", "a"], ["a", "c"], ["a", "c"]], 2) == ["a", "c"]


@pytest.mark.parametrize(
    ("zeros", "expected"),
    [
        ("front", [[PADDING, PADDING, 2], [UNKNOWN, 3, 2], [PADDING] * 3]),
        ("end", [[2, PADDING, PADDING], [2, 2, UNKNOWN], [PADDING] * 3]),
    ],
)
def test_texts_are_padded_and_cut_on_one_side(zeros: str, expected: list[list[int]]) -> None:
    ids = encode([["a"], ["a", "a", "x", "b", "a"], []], ["a", "b"], 3, zeros)
    assert ids.tolist() == expected


def test_stop_words_and_lemmas_are_removed_on_request() -> None:
    assert without_stop_words([["the", "flights", "were", "delayed"], ["the"]]) == [["flights", "delayed"], []]
    assert lemmas([["flights", "delayed"], ["flights"]]) == [["flight", "delay"], ["flight"]]


def test_a_package_that_is_missing_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "simplemma", None)
    with pytest.raises(ModelError, match=r"simplemma.*pip install '\.\[train\]'"):
        lemmas([["flights"]])


def _vector_file(tmp_path: Path, words: Sequence[str], size: int = 8) -> str:
    rng = np.random.default_rng(0)
    file = tmp_path / "vectors.txt"
    file.write_text("".join(f"{word} {' '.join(f'{x:.3f}' for x in rng.standard_normal(size))}\n" for word in words))
    return str(file)


@pytest.mark.parametrize("name", ["imdb-frozen-vectors", "tweets-simple-rnn"])
def test_vectors_of_another_size_are_refused_before_training(name: str, tmp_path: Path) -> None:
    with pytest.raises(VectorFileError, match="vectors of 5 numbers"):
        run_small(name, tmp_path / "run", vectors=_vector_file(tmp_path, ["the", "was"], size=5))
    assert not (tmp_path / "run" / "steps.safetensors").exists()


def test_a_frozen_embedding_keeps_the_vectors_of_the_file_and_words_without_one_are_counted(tmp_path: Path) -> None:
    file = _vector_file(tmp_path, ["the", "was", "great", "unheard-of"])
    outcome = run_small("imdb-frozen-vectors", tmp_path / "run", vectors=file)
    assert "embedding.weight" not in load_file(tmp_path / "run" / "network.safetensors")
    assert (tmp_path / "run" / "vocabulary.txt").read_text().split() == ["the", "was", "great", "unheard-of"]
    assert "GloVe text): 4 words, 8 numbers each" in outcome.notes[1]
    num_missing, num_words = (int(word) for word in outcome.notes[1].split("; ")[1].split() if word.isdigit())
    assert num_missing == num_words - 3


def test_words_of_the_vocabulary_without_a_vector_are_counted_as_null_rows(tmp_path: Path) -> None:
    file = _vector_file(tmp_path, ["the", "was", "great"])
    outcome = run_small("tweets-simple-rnn", tmp_path / "run", vectors=file, frozen=True, num_words=50)
    vocabulary = (tmp_path / "run" / "vocabulary.txt").read_text().split()
    assert outcome.figures["null rows"] == len(set(vocabulary) - {"the", "was", "great"}) < len(vocabulary) == 50


def test_an_embedding_that_is_not_frozen_is_trained(tmp_path: Path) -> None:
    run_small("tweets-simple-rnn", tmp_path / "run", vectors=_vector_file(tmp_path, ["the"]))
    embedding = load_file(tmp_path / "run" / "network.safetensors")["embedding.weight"]
    assert np.abs(embedding[3:]).max() > 0


def test_too_few_texts_for_word_vectors_are_refused(tmp_path: Path) -> None:
    rows = [{"text": f"{label}{i}", "label": label} for i in range(20) for label in ("positive", "negative")]
    data = write_corpora(tmp_path / "data", rows, "semeval", "semeval_dev")
    with pytest.raises(DataError, match="too few texts to train word vectors on"):
        run_small("tweets-simple-rnn", tmp_path / "run", data)
