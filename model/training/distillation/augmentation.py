"""Texts without labels, for which teachers give soft targets beyond the labelled corpora.

Tang et al. 2019, "Distilling Task-Specific Knowledge from BERT into Simple Neural Networks": a student needs many more
texts than there are labels, and they can be made from the labelled ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

SENTENCE_WORDS = 3, 40  # fewest and most words of a sentence that is kept
DROP_CHANCE = 0.1  # chance that a word is dropped
NGRAM_CHANCE = 0.25  # chance that a text is reduced to a run of its words
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+|\s*<br\s*/?>\s*|\n+")


def sentences(texts: Iterable[str], max_sentences: int, seed: int) -> list[str]:
    """At most `max_sentences` different sentences of `texts`, drawn at random."""
    least, most = SENTENCE_WORDS
    found = (piece.strip() for text in texts for piece in _SENTENCE_END.split(text))
    kept = list(dict.fromkeys(piece for piece in found if least <= len(piece.split()) <= most))
    chosen = np.random.default_rng(seed).permutation(len(kept))[:max_sentences]
    return [kept[i] for i in chosen]


def variants(texts: Sequence[str], num_each: int, seed: int) -> list[str]:
    """`num_each` changed versions of each text: with words dropped, and some reduced to a run of their words.

    The versions of one text follow each other. A version has at least one word if its text has.
    """
    rng = np.random.default_rng(seed)
    return [_vary(text.split(), rng) for text in texts for _ in range(num_each)]


def _vary(words: list[str], rng: np.random.Generator) -> str:
    kept = [word for word in words if rng.random() >= DROP_CHANCE] or words
    if len(kept) > 2 and rng.random() < NGRAM_CHANCE:
        length = int(rng.integers(2, len(kept)))
        start = int(rng.integers(0, len(kept) - length + 1))
        kept = kept[start : start + length]
    return " ".join(kept)
