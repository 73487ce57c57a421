"""The words that an emoji stands for: a feeling, where it is clear, else its short name.

`emoji_feelings.txt` is made by hand; `emoji_names.txt` is written by `emoji_table.py`. A sequence that neither has, of
a later Unicode, is read part by part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

NAMES_FILE = Path(__file__).with_name("emoji_names.txt")
FEELINGS_FILE = Path(__file__).with_name("emoji_feelings.txt")

_JOINER, _KEYCAP = "\u200d", "\u20e3"
_VARIANTS = "\ufe0e\ufe0f\U0001f3fb-\U0001f3ff"
_BASE = (
    "\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23ff\u24c2\u25aa-\u25fe\u2600-\u27bf\u2934\u2935"
    "\u2b00-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
)
_ONE = f"[{_BASE}][{_VARIANTS}]*"
_TAGS = "[\U000e0020-\U000e007f]+"
EMOJI = re.compile(
    f"[\U0001f1e6-\U0001f1ff]{{2}}|[0-9#*]\ufe0f?{_KEYCAP}|{_ONE}(?:{_TAGS}|(?:{_JOINER}{_ONE})*)|[{_VARIANTS[2:]}]"
)
_VARIANT = re.compile(f"[{_VARIANTS}]")


def without_variants(emoji: str) -> str:
    """The emoji without skin tones and variation selectors."""
    return _VARIANT.sub("", emoji)


def emoji_words(emoji: str) -> tuple[str, ...]:
    """The words of an emoji, a match of EMOJI. One that is unknown as a whole has those of its known parts."""
    whole = without_variants(emoji)
    known = _table()
    if whole in known:
        return known[whole]
    return tuple(word for part in dict.fromkeys(whole.split(_JOINER)) for word in known.get(part, ()))


def repeated_emoji(text: str) -> Iterator[tuple[int, int, str, int]]:
    """The runs of one emoji in a text: where a run begins and ends, the emoji, and how often it stands there."""
    run: tuple[int, int, str, int] | None = None
    for match in EMOJI.finditer(text):
        emoji = without_variants(match[0])
        if run and run[1] == match.start() and run[2] == emoji:
            run = (run[0], match.end(), emoji, run[3] + 1)
            continue
        if run:
            yield run
        run = (match.start(), match.end(), emoji, 1)
    if run:
        yield run


@cache
def _table() -> dict[str, tuple[str, ...]]:
    names = (line.split("\t") for line in NAMES_FILE.read_text(encoding="utf-8").splitlines())
    table = {emoji: tuple(words.split()) for emoji, words in names}
    for line in FEELINGS_FILE.read_text(encoding="utf-8").splitlines():
        feeling, *all_emoji = line.split()
        table |= dict.fromkeys(all_emoji, (feeling,))
    return table
