"""Joins the tokens of `Tokenizer.split` into readable text, in lower case.

CJK characters are joined without spaces; so is Hangul, because tokens do not record its spaces. Punctuation after a
CJK character gets back the wide form that the tokenizer had narrowed. The marks `<long>` and `<allcaps>`, which say how
a word was written, are left out.
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
    """The text of `words`. The text of the first words is always a prefix of the text of all of them."""
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
    """Whether `written` follows the character `before` without a space."""
    return (
        not before
        or before in _OPENING
        or _CLOSING.fullmatch(written) is not None
        or (_is_cjk(before) and (_is_cjk(written[0]) or written[0] in _QUOTES))
        or (before in _QUOTES and _is_cjk(written[0]))
    )


def _is_cjk(char: str) -> bool:
    return _CJK.match(char) is not None
