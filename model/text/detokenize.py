"""Tokens back to text: what `Tokenizer.split` cut is joined as people write it, in lower case.

Between CJK characters stands no space (nor between Hangul, whose spaces the tokens do not tell), and among them
punctuation is written in its wide form, which the tokenizer had made narrow. Marks of how a word was written
(`<long>`, `<allcaps>`) are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from model.text.normalise import ALLCAPS, LONG, TAG

_CJK = re.compile(
    "[\u3001-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]"
)
_CLOSING = re.compile("[,.;:!?]+|[%)\\]}\u2026\u201d]|n't|'\\w+")
_OPENING = "([{#\u201c"
_QUOTES = "\u201c\u201d"
_WIDE = str.maketrans(",;:!?()", "\uff0c\uff1b\uff1a\uff01\uff1f\uff08\uff09")


def detokenize(words: Iterable[str]) -> str:
    """One text. What is joined of more words begins with what is joined of fewer."""
    text, num_quotes = "", 0
    for word in words:
        if word in (LONG, ALLCAPS):
            continue
        written = "#" if word == TAG else word
        if word == '"':
            written = _QUOTES[num_quotes % 2]
            num_quotes += 1
        elif _is_cjk(text.rstrip(_QUOTES)[-1:]) and not word.isalnum():
            written = word.translate(_WIDE)
        text += written if _is_joined(text[-1:], written) else f" {written}"
    return text


def _is_joined(before: str, written: str) -> bool:
    """Whether no space stands between a character and what follows it."""
    return (
        not before
        or before in _OPENING
        or _CLOSING.fullmatch(written) is not None
        or (_is_cjk(before) and (_is_cjk(written[0]) or written[0] in _QUOTES))
        or (before in _QUOTES and _is_cjk(written[0]))
    )


def _is_cjk(char: str) -> bool:
    return _CJK.match(char) is not None
