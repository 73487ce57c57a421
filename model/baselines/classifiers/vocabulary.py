"""Texts as word ids, padded to one length, for the small classifiers of the literature."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.errors import ModelError

Ids = NDArray[np.int32]
Words = Sequence[str]

PADDING, UNKNOWN, NUM_SPECIAL = 0, 1, 2  # the first ids; words follow
SIDES = ("front", "end")

_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
_LINE_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)  # in reviews


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case and without punctuation."""
    return _WORD.findall(_LINE_BREAK.sub(" ", text).lower().replace("\u2019", "'"))


def most_frequent(texts: Iterable[Words], max_words: int) -> list[str]:
    """At most `max_words` words, the most frequent first; equally frequent words keep the order of the texts."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    return [word for word, _ in counts.most_common(max_words)]


def encode(texts: Iterable[Words], vocabulary: Words, length: int, zeros: str) -> Ids:
    """Ids, (texts, length). zeros: the side where short texts are padded and long ones truncated, "front" or "end"."""
    ids = {word: row for row, word in enumerate(vocabulary, start=NUM_SPECIAL)}
    rows = []
    for text in texts:
        row = np.zeros(length, np.int32)
        kept = [ids.get(word, UNKNOWN) for word in (text[-length:] if zeros == "front" else text[:length])]
        if kept:
            row[slice(-len(kept), None) if zeros == "front" else slice(len(kept))] = kept
        rows.append(row)
    return np.array(rows, np.int32).reshape(-1, length)


def without_stop_words(texts: Iterable[Words]) -> list[list[str]]:
    """Texts without scikit-learn's English stop words, which include "not" and "no".

    Raises ModelError if scikit-learn is not installed.
    """
    stop_words = _import("sklearn.feature_extraction.text").ENGLISH_STOP_WORDS
    return [[word for word in text if word not in stop_words] for text in texts]


def lemmas(texts: Sequence[Words]) -> list[list[str]]:
    """Texts with each word replaced by its English lemma. Raises ModelError if simplemma is not installed."""
    simplemma = _import("simplemma")
    forms: dict[str, str] = {}
    for text in texts:
        for word in text:
            if word not in forms:
                forms[word] = simplemma.lemmatize(word, lang="en").lower()
    return [[forms[word] for word in text] for text in texts]


def _import(module: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ModelError(
            f"stop words and lemmas need a package that is missing ({error}): pip install '.[train]'"
        ) from error
