"""Texts as rows of word ids of one length, as the small classifiers of the literature read them."""

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
_LINE_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)  # of the reviews


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    return _WORD.findall(_LINE_BREAK.sub(" ", text).lower().replace("\u2019", "'"))


def most_frequent(texts: Iterable[Words], max_words: int) -> list[str]:
    """The most frequent words of texts, most frequent first; of those that are as frequent, in their order."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    return [word for word, _ in counts.most_common(max_words)]


def encode(texts: Iterable[Words], vocabulary: Words, length: int, zeros: str) -> Ids:
    """(texts, length) ids. zeros: the side where a short text is padded and a long one cut, "front" or "end"."""
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
    """Texts without the words of scikit-learn's English list (it has "not" and "no"). Raises ModelError without it."""
    stop_words = _import("sklearn.feature_extraction.text").ENGLISH_STOP_WORDS
    return [[word for word in text if word not in stop_words] for text in texts]


def lemmas(texts: Sequence[Words]) -> list[list[str]]:
    """Texts with the English dictionary form of each word, by simplemma. Raises ModelError without it."""
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
