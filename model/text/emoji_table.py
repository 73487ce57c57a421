"""Writes emoji_names.txt, the short name of every emoji in Unicode, from the package `emoji` (extra `train`).

python -m model.text.emoji_table

The names are those of CLDR. Skin tones and variation selectors are left out: they do not bear on a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module

from model.text.emoji import NAMES_FILE, without_variants

_LEFT_OUT = {"a", "and", "face", "in", "of", "on", "the", "with"}  # do not distinguish faces
_IS_FLAG = re.compile("[\U0001f1e6-\U0001f1ff]{2}|\U0001f3f4\U000e0067.*")


def names() -> Iterator[tuple[str, str]]:
    """Every emoji, without variants, and the words of its name in lower case."""
    seen = {""}
    for written, data in import_module("emoji").EMOJI_DATA.items():
        emoji = without_variants(written)
        if emoji not in seen:
            seen.add(emoji)
            words = re.findall(r"\w+", data["en"].replace("_", " ").lower())
            distinct = [word for word in words if word not in _LEFT_OUT] or words
            yield emoji, " ".join(distinct + ["flag"] * bool(_IS_FLAG.fullmatch(emoji)))


if __name__ == "__main__":
    NAMES_FILE.write_text("".join(f"{emoji}\t{words}\n" for emoji, words in sorted(names())), encoding="utf-8")
