"""Names the language of a text: multinomial logistic regression on its letters' n-grams and scripts (`fit.py`).

Only the first MAX_CHARS characters of a text count, so that its language is the same whole and in pieces, and a long
text costs no more than a short one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import load_file

from model.inference.kernels.compiled import compiled
from model.inference.languages.ngrams import LATIN, OTHER, ngrams_of

MAX_CHARS = 200
MIN_LATIN = 4  # letters of a text in Latin letters alone: `ok` and `no` are of many languages
MAX_OTHER = 0.1  # share of letters that none of LANGUAGES has; beyond, a text is in none of them
UNKNOWN = "und"  # ISO 639-2: undetermined
LANGUAGES = ("ar", "de", "en", "es", "fr", "hi", "id", "it", "ja", "ko", "no", "pt", "ru", "th", "zh")
"""Codes of ISO 639-1. A text in any other language of one of their scripts is taken for the one most like it."""

WEIGHTS = Path(__file__).with_name("weights.safetensors")


class Language(NamedTuple):
    """The code of one of LANGUAGES, or UNKNOWN, and the probability that it is the right one of them."""

    code: str
    confidence: float


NO_LANGUAGE = Language(UNKNOWN, 0.0)


class LanguageIdentifier:
    """Names the languages of texts. Safe to use from several threads."""

    def __init__(self, file: Path = WEIGHTS) -> None:
        found = load_file(file)
        self._weights, self._step = found["ngrams"], found["step"][0]
        self._script_weights, self._bias = found["scripts"], found["bias"]

    def identify(self, texts: Sequence[str]) -> list[Language]:
        """The language of each text.

        One without letters, with fewer than MIN_LATIN, or with many that none of LANGUAGES has, is UNKNOWN; one that
        could be in several, of low confidence.
        """
        ngrams = ngrams_of([text[:MAX_CHARS] for text in texts])
        best, confidences = np.empty(len(texts), np.int64), np.empty(len(texts), np.float32)
        _choose(ngrams, self._weights, self._step, self._script_weights, self._bias, best, confidences)
        return [
            Language(LANGUAGES[language], confidence) if language >= 0 else NO_LANGUAGE
            for language, confidence in zip(best.tolist(), confidences.tolist(), strict=True)
        ]


@cache
def shared_identifier() -> LanguageIdentifier:
    """The identifier of this process."""
    return LanguageIdentifier()


@compiled
def _choose(  # noqa: PLR0913, PLR0917 - a compiled function takes arrays one by one
    ngrams: Any, weights: Any, step: Any, script_weights: Any, bias: Any, best: Any, confidences: Any
) -> None:
    """Output: the number of each text's most probable language, or -1 for UNKNOWN, and its probability.

    weights (buckets, languages), script_weights (OTHER, languages), bias (languages,).
    """
    sums, logits = np.empty(len(bias), np.int32), np.empty(len(bias), np.float32)
    for text in range(len(best)):
        best[text], confidences[text] = -1, 0
        letters = ngrams.scripts[text]
        num_letters = letters.sum()
        if letters[LATIN] == num_letters < MIN_LATIN or letters[OTHER] > MAX_OTHER * num_letters:
            continue
        sums[:] = 0
        for place in range(ngrams.starts[text], ngrams.starts[text + 1]):
            row = weights[ngrams.buckets[place]]
            for language in range(len(sums)):
                sums[language] += row[language]
        for language in range(len(sums)):
            logits[language] = bias[language] + step * ngrams.scales[text] * sums[language]
        for script in range(OTHER):
            logits += ngrams.shares[text, script] * script_weights[script]
        best[text] = logits.argmax()
        confidences[text] = 1 / np.exp(logits - logits.max()).sum()
