"""The words of a network whose vectors are alike. Needs no gensim."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from model.checkpoint import DEFAULT_CHECKPOINT, VOCABULARY, load_checkpoint
from model.errors import UnknownWordError
from model.text.normalise import ALLCAPS, LONG
from model.text.tokenizer import Tokenizer


class Neighbour(NamedTuple):
    """A word of the vocabulary, and the cosine between its vector and that of the word asked for, in -1..1."""

    word: str
    similarity: float


def neighbours(checkpoint: Path | None, texts: Iterable[str], max_words: int = 10) -> dict[str, list[Neighbour]]:
    """The words of a checkpoint (None: the packaged one) whose vectors are nearest to those of the words in `texts`.

    Texts are normalised as the network reads them, so that one may hold several words; each is a key, and has at most
    `max_words` neighbours, nearest first, itself not among them. Raises CheckpointError, and UnknownWordError that
    names every text without a word and every word that the vocabulary lacks.
    """
    folder = checkpoint or DEFAULT_CHECKPOINT
    loaded = load_checkpoint(folder)
    rows = {word: row for row, word in enumerate(loaded.words)}
    asked, unknown = [], []
    for text in texts:
        words = _normalise(text, rows)
        asked += [word for word in words if word in rows]
        unknown += [word for word in words if word not in rows] if words else [text]
    if unknown:
        raise UnknownWordError(
            f"{loaded.name} has no vector for {', '.join(map(repr, unknown))}: "
            f"ask for words that {folder / VOCABULARY} lists"
        )
    vectors = loaded.weights["word.embedding.weight"][: len(rows)]
    directions = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    nearest = {}
    for word in asked:
        similarities = directions @ directions[rows[word]]
        order = [row for row in np.argsort(-similarities, kind="stable") if row != rows[word]][:max_words]
        nearest[word] = [Neighbour(loaded.words[row], float(similarities[row])) for row in order]
    return nearest


def read_vocabulary(checkpoint: Path | None) -> Sequence[str]:
    """The words of a checkpoint (None: the packaged one), the most frequent first. Raises CheckpointError."""
    return load_checkpoint(checkpoint or DEFAULT_CHECKPOINT).words


def _normalise(text: str, known: Iterable[str]) -> list[str]:
    """The words of `text` without the marks of how they were written; a line of the vocabulary, as <url>, is itself."""
    return [text] if text in known else [word for word in Tokenizer.split(text) if word not in (LONG, ALLCAPS)]
