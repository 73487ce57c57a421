"""The words of a network whose vectors are nearest to a given word's. Needs no gensim."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from model.checkpoint import DEFAULT_CHECKPOINT, EMBEDDING, load_checkpoint
from model.checkpoint_files import VOCABULARY
from model.errors import UnknownWordError
from model.text.normalise import ALLCAPS, LONG
from model.text.tokenizer import Tokenizer


class Neighbour(NamedTuple):
    """A word of the vocabulary, and the cosine (-1..1) between its vector and that of the queried word."""

    word: str
    similarity: float


def neighbours(checkpoint: Path | None, texts: Iterable[str], max_words: int = 10) -> dict[str, list[Neighbour]]:
    """For each word in `texts`, the words of a checkpoint (None: the packaged one) with the nearest vectors by cosine.

    Texts are normalised as for the network, so one text may hold several words. Each word is a key of the result and
    has at most `max_words` neighbours, the nearest first, never itself.

    Raises CheckpointError, and UnknownWordError, which names every text without words and every word that is not in
    the vocabulary.
    """
    checkpoint_dir = checkpoint or DEFAULT_CHECKPOINT
    loaded = load_checkpoint(checkpoint_dir)
    rows = {word: row for row, word in enumerate(loaded.words)}
    asked, unknown = [], []
    for text in texts:
        words = _normalise(text, rows)
        asked += [word for word in words if word in rows]
        unknown += [word for word in words if word not in rows] if words else [text]
    if unknown:
        raise UnknownWordError(
            f"{loaded.name} has no vector for {', '.join(map(repr, unknown))}: "
            f"ask for words that {checkpoint_dir / VOCABULARY} lists"
        )
    vectors = loaded.weights[EMBEDDING][: len(rows)].astype(np.float32)
    directions = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    nearest = {}
    for word in asked:
        similarities = directions @ directions[rows[word]]
        order = [row for row in np.argsort(-similarities, kind="stable") if row != rows[word]][:max_words]
        nearest[word] = [Neighbour(loaded.words[row], float(similarities[row])) for row in order]
    return nearest


def read_vocabulary(checkpoint: Path | None) -> Sequence[str]:
    """The vocabulary of a checkpoint (None: the packaged one), the most frequent word first. Raises CheckpointError."""
    return load_checkpoint(checkpoint or DEFAULT_CHECKPOINT).words


def _normalise(text: str, known: Iterable[str]) -> list[str]:
    """The words of `text` without the marks for spelling; an entry of the vocabulary, such as <url>, stays as it is."""
    return [text] if text in known else [word for word in Tokenizer.split(text) if word not in (LONG, ALLCAPS)]
