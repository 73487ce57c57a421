"""Version 2 of the normalising: what a vocabulary lacks is read as something that it has.

On top of `normalise.py`, and like it a pure function of one chunk, given the vocabulary:

    an emoji, whatever its skin tone    the word of its feeling, or its name     \U0001f92c -> angry
    an elongated word                   its most frequent known form             slowwwww -> slow <long>
    a hashtag in any case               its most likely words                    #badservice -> <tag> bad service
    an emoticon                         its usual form                           =( -> :(
    slang                               plain words                              gr8 -> great
    HTML with attributes                nothing

The words of a hashtag are those of a unigram model: the vocabulary's order is that of frequency, and by Zipf's law a
word's frequency is inverse to its rank.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from math import log
from pathlib import Path

from model.text.emoji import emoji_words, repeated_emoji
from model.text.normalise import ALLCAPS, LONG, TAG, hashtag_parts, parts_of_chunk, write_part

NORMALISATIONS = (1, 2)
"""The versions: `normalise.py` alone, or with this file."""

MAX_WORD_CHARS = 20  # of a word in a hashtag
MAX_ELONGATED = 6  # runs of one letter in a word, beyond which only the shortest form is tried

_LETTERS = re.compile(r"([^\W\d_])\1*")
_BEFORE, _AFTER = "\"'(*~", ".,!?\"')*~:;"  # signs around slang with digits
_LAUGH = re.compile(
    r"(?:[hj][aei]){2,}[hj]?|a?(?:[hj]a){2,}[hj]?"  # also Spanish
    r"|(?:rs){2,}|k{4,}"  # Portuguese
    "|\u0430?(?:\u0445\u0430){2,}\u0445?"  # Russian
    "|[\u110f\u1112]{2,}"  # Korean, after NFKC
)
_MARKUP = re.compile(
    r"</?(?:a|td|tr|table|tbody|img|font|center|blockquote|code|pre|small|sub|sup|strike|section|video)/?>"
    r"|^</?(?:a|b|i|p|u|em|td|tr|img|div|font|span|table|iframe|strong)$"
    r"|\b(?:href|src|class|style|target|rel|alt|title|width|height|id)=(?:\"[^\"]*\"|'[^']*')/?>?",
    re.IGNORECASE,
)
_MARKS = {LONG, ALLCAPS}
_FACES = dict.fromkeys(("D:", "D=", "):", ")-:", "]:", ":c", ":C", ":-c", "D;", ":["), ":(")
_FACES |= dict.fromkeys(("T_T", "T.T", "TT_TT", ";_;", ";-;", "T__T", "QQ", "Q_Q"), ":'(")
_FACES |= dict.fromkeys(("C:", "c:", "(-:", "\\o/", ":]", ":-]", "(^_^)", "^.^", "n_n", "^-^", "(:"), ":)")
_FACES |= dict.fromkeys(("-.-", "-__-", "=_=", ">_<", ">.<", "<_<", ">_>", "u_u"), "-_-")
_EYES = str.maketrans("=", ":")
_MOUTHS = str.maketrans("]}[{", "))((")


class PlainForms:
    """Splits chunks into tokens for one vocabulary. Raises nothing, whatever the characters."""

    def __init__(self, ranks: Mapping[str, int]) -> None:
        """ranks: word -> its place in the order of frequency."""
        self._ranks = ranks
        total = log(log(len(ranks) + 2) + 1)  # of 1 / rank over all words, nearly
        self._costs = {
            word: log(rank + 1) + total
            for word, rank in ranks.items()
            if word.isalpha() and (len(word) > 1 or word in {"a", "i", "u"})
        }

    def split_chunk(self, chunk: str) -> list[str]:
        """The tokens of one chunk, as words."""
        if chunk in _FACES and chunk not in self._ranks:
            return [_FACES[chunk]]
        if "&" in chunk:
            chunk = html.unescape(html.unescape(chunk))
        if "<" in chunk or "=" in chunk:
            chunk = _MARKUP.sub(" ", chunk)
        if chunk.isascii():
            return self._split_text(chunk)
        tokens, begin = [], 0
        for start, end, emoji, count in repeated_emoji(chunk):
            tokens += self._split_text(chunk[begin:start])
            tokens += self._write_emoji(emoji, count)
            begin = end
        return tokens + self._split_text(chunk[begin:])

    def _write_emoji(self, emoji: str, count: int) -> list[str]:
        if emoji in self._ranks and count < 3:
            return [emoji] * count
        return [*([emoji] if emoji in self._ranks else emoji_words(emoji)), *([LONG] if count > 2 else [])]

    def _split_text(self, text: str) -> list[str]:
        """The tokens of a chunk, or of a part of it, without emoji."""
        rest = text.lstrip(_BEFORE)
        inner = rest.rstrip(_AFTER)
        if inner.isalpha() or (plain := slang().get(inner.lower())) is None:
            return self._split_parts(text)
        before, after = text[: len(text) - len(rest)], rest[len(inner) :]
        return [*self._split_parts(before), *plain, *self._split_parts(after)]

    def _split_parts(self, text: str) -> list[str]:
        return [token for kind, written in parts_of_chunk(text) for token in self._write(kind, written)]

    def _write(self, kind: str, written: str) -> list[str]:
        if kind == "word":
            return self._write_word(written)
        if kind == "tag":
            return [TAG, *(token for part in hashtag_parts(written) for token in self._write_tagged(part))]
        if kind == "emoticon":
            return self._write_emoticon(write_part(kind, written))
        return write_part(kind, written)

    def _write_emoticon(self, tokens: list[str]) -> list[str]:
        face, *marks = tokens
        if face not in self._ranks:
            usual = face.lstrip("<>").translate(_EYES)
            face = next((form for form in (usual, usual.translate(_MOUTHS)) if form in self._ranks), face)
        return [face, *marks]

    def _write_word(self, written: str) -> list[str]:
        tokens = write_part("word", written)
        if tokens[0] in self._ranks:
            return tokens
        word = written.lower()
        form = slang().get(word) or self._known_form(word) or (("haha",) if _LAUGH.fullmatch(word) else None)
        return [*form, *(token for token in tokens if token in _MARKS)] if form else tokens

    def _known_form(self, word: str) -> tuple[str, ...] | None:
        """The words of the most frequent form of `word` with its runs of a letter shortened; None if none is known."""
        runs = [match[0] for match in _LETTERS.finditer(word)]
        num_long = sum(len(run) > 2 for run in runs)
        if "".join(runs) != word or not (num_long or len(runs[-1]) == 2):
            return None
        choices = [(run[0], run[:2]) if len(run) > 2 or at == len(runs) - 1 else (run,) for at, run in enumerate(runs)]
        if num_long > MAX_ELONGATED:
            choices = [choice[:1] for choice in choices]
        forms = {"".join(letters) for letters in product(*choices)}
        known = [form for form in forms if form in self._ranks]
        if known:
            return (min(known, key=self._ranks.__getitem__),)
        return next((slang()[form] for form in sorted(forms) if form in slang()), None)

    def _write_tagged(self, part: str) -> list[str]:
        """The tokens of a part of a hashtag."""
        if part.isdigit():
            return write_part("number", part)
        tokens = self._write_word(part)
        words = self._cut(part.lower())
        return [*words, *tokens[1:]] if len(words) > 1 else tokens

    def _cut(self, joined: str) -> list[str]:
        """The most likely words that make up `joined`; none if no words do. Its time is linear in its length."""
        best: list[tuple[float, int]] = [(0.0, 0)]  # up to each place: the least cost, and where its last word begins
        for end in range(1, len(joined) + 1):
            ways = [
                (best[begin][0] + self._costs[word], begin)
                for begin in range(max(0, end - MAX_WORD_CHARS), end)
                if (word := joined[begin:end]) in self._costs
            ]
            best.append(min(ways, default=(float("inf"), 0)))
        if best[-1][0] == float("inf"):
            return []
        words, end = [], len(joined)
        while end:
            begin = best[end][1]
            words.append(joined[begin:end])
            end = begin
        return words[::-1]


@cache
def slang() -> dict[str, tuple[str, ...]]:
    """Slang word -> plain words."""
    return dict(_slang_lines())


def _slang_lines() -> Iterator[tuple[str, tuple[str, ...]]]:
    for line in Path(__file__).with_name("slang.txt").read_text(encoding="utf-8").splitlines():
        word, *plain = line.split()
        yield word, tuple(plain)
