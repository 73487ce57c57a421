"""What the identifier sees of a text: hashed n-grams of its Latin and Chinese letters, and its letters by script."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.inference.kernels.compiled import compiled

MAX_LENGTH = 5  # letters of an n-gram
HASH_BITS = 16
NUM_BUCKETS = 1 << HASH_BITS
_SCRIPTS: dict[str, tuple[tuple[int, int], ...]] = {
    "Latin": ((0x41, 0xFF), (0x152, 0x153)),  # without letters that only other languages have
    "Arabic": ((0x600, 0x6FF), (0x750, 0x77F), (0x8A0, 0x8FF)),
    "Devanagari": ((0x900, 0x97F),),
    "Cyrillic": ((0x400, 0x52F),),
    "Thai": ((0xE00, 0xE7F),),
    "Hangul": ((0x1100, 0x11FF), (0xAC00, 0xD7AF)),
    "Kana": ((0x3040, 0x30FF), (0x31F0, 0x31FF)),
    "Han": ((0x3005, 0x3006), (0x3400, 0x4DBF), (0x4E00, 0x9FFF)),
}
"""The Unicode blocks of each script (code points, both ends included)."""
NUM_SCRIPTS = len(_SCRIPTS) + 1  # the last: any other script
LATIN, HAN, OTHER = 0, NUM_SCRIPTS - 2, NUM_SCRIPTS - 1
_NO_LETTER = NUM_SCRIPTS
_NUM_CODES = 0x10000
_SPACE = 32

# Addresses, names and hashtags say nothing of the language, and in some texts they are most of it.
_NO_LANGUAGE = re.compile(r"\bhttp\S*|\bwww\.\S+|[@#]\w+|&\w+;|<[^>]{0,20}>")

Integers = NDArray[np.int32]
Floats = NDArray[np.float32]


class Ngrams(NamedTuple):
    """The n-grams of texts. A text without letters has none.

    A text's logits grow with the square root of its length: its n-grams overlap, and those of one topic come together,
    so that by their sum a long text would be too confident.
    """

    buckets: Integers  # (n-grams,): those of all texts, one text after the other
    starts: NDArray[np.int64]  # (texts + 1,)
    scales: Floats  # (texts,): what the sum over a text's n-grams is to be multiplied by
    scripts: Integers  # (texts, NUM_SCRIPTS): letters of each script
    shares: Floats  # (texts, OTHER): letters of each script but the last, over the square root of all


def ngrams_of(texts: Sequence[str]) -> Ngrams:
    """The n-grams of each text."""
    letters = list(map(_normalised, texts))
    starts = np.array([0, *accumulate(map(len, letters))])
    codes = np.frombuffer("".join(letters).encode("utf-32-le", "surrogatepass"), np.uint32)
    buckets = np.empty((len(codes) + len(texts)) * MAX_LENGTH, np.int32)
    ends, scripts = np.zeros(len(texts) + 1, np.int64), np.zeros((len(texts), NUM_SCRIPTS), np.int32)
    scales, shares = np.empty(len(texts), np.float32), np.empty((len(texts), OTHER), np.float32)
    _collect(codes, starts, _SCRIPT_OF, buckets, ends, scales, scripts, shares)
    return Ngrams(buckets[: ends[-1]], ends, scales, scripts, shares)


def _normalised(text: str) -> str:
    words = _NO_LANGUAGE.sub(" ", text).lower()
    return words if words.isascii() else unicodedata.normalize("NFKC", words)


def _script_of_each_code() -> NDArray[np.uint8]:
    is_letter = np.fromiter(map(str.isalpha, map(chr, range(_NUM_CODES))), bool, _NUM_CODES)
    scripts = np.where(is_letter, OTHER, _NO_LETTER).astype(np.uint8)
    for number, blocks in enumerate(_SCRIPTS.values()):
        for first, last in blocks:
            scripts[first : last + 1][is_letter[first : last + 1]] = number
    return scripts


_SCRIPT_OF = _script_of_each_code()


@compiled
def _collect(  # noqa: PLR0913, PLR0917 - a compiled function takes arrays one by one
    codes: Any, starts: Any, script_of: Any, buckets: Any, ends: Any, scales: Any, scripts: Any, shares: Any
) -> None:
    """Fill the fields of Ngrams. Whatever is no Latin letter parts words, as one space."""
    recent = np.empty(MAX_LENGTH, np.int64)  # the newest letters and spaces, the newest first
    place = 0
    for text in range(len(starts) - 1):
        recent[0] = _SPACE
        num_recent = 1
        for index in range(starts[text], starts[text + 1] + 1):
            code = np.int64(codes[index]) if index < starts[text + 1] else _SPACE
            script = script_of[code] if code < _NUM_CODES else _NO_LETTER
            if script < _NO_LETTER:
                scripts[text, script] += 1
            if script == HAN:
                buckets[place] = _bucket(code)
                place += 1
            if script != LATIN:
                code = _SPACE
                if recent[0] == _SPACE:
                    continue
            for older in range(MAX_LENGTH - 1, 0, -1):
                recent[older] = recent[older - 1]
            recent[0] = code
            num_recent = min(num_recent + 1, MAX_LENGTH)
            key = 0
            for length in range(num_recent):
                key = ((key * 0x9E3779B1) ^ recent[length]) & 0xFFFFFFFF
                if length > 0 or code != _SPACE:
                    buckets[place] = _bucket(key)
                    place += 1
        ends[text + 1] = place
        scales[text] = 1 / np.sqrt(max(place - ends[text], 1))
        shares[text] = scripts[text, :OTHER] / np.sqrt(max(scripts[text].sum(), 1))


@compiled
def _bucket(key: Any) -> Any:
    return ((key * 0x85EBCA6B) & 0xFFFFFFFF) >> (32 - HASH_BITS)
