"""The vocabulary of pieces: an English network's words, emoji, words of other languages, and pieces of all scripts.

Words and pieces come from the training texts, most frequent first, and then from the encoder's vocabulary, so that the
network also knows what no training text has.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from model.text.chunks import Chunker
from model.text.encoding import CONTINUED, PIECE_RANGES
from model.text.normalise import split_chunk
from model.training.multilingual.e5 import WORD_START, Piece

MAX_PIECE_CHARS = 16
SCRIPTS = {
    "Arabic": ((0x0600, 0x077F),),
    "Devanagari": ((0x0900, 0x097F),),
    "Thai": ((0x0E00, 0x0E7F),),
    "Hangul": ((0xAC00, 0xD7AF),),
    "Han and kana": ((0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF)),
}
EMOJI_RANGES = (
    (0x2600, 0x27BF),
    (0x2B05, 0x2B55),
    (0x1F170, 0x1F19A),
    (0x1F300, 0x1F6FF),
    (0x1F7E0, 0x1F7EB),
    (0x1F90C, 0x1FAFF),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VocabularySizes:
    """Most words of each kind, beside those of the English network and the emoji."""

    words: int = 14_000
    continuations: int = 4_000
    script_pieces: int = 2_000  # of each script
    han_pieces: int = 8_000


def make_vocabulary(
    english: Sequence[str], texts: Sequence[str], pieces: Sequence[Piece], sizes: VocabularySizes
) -> list[str]:
    """The words: `english` in its order, and what is new after it. `texts` are those of the other languages."""
    of_scripts = _script_pieces(texts, pieces, sizes)
    spaced = Counter(word for text in texts for chunk in _outside(text) for word in split_chunk(chunk))
    known = dict.fromkeys(english)
    emoji = [*_all_emoji(), *_all_flags()]
    repeated = [word for word, count in spaced.most_common() if count > 1 and not word.startswith(CONTINUED)]
    lowered = _distinct(
        (piece.text.lower(), piece.score) for piece in pieces if _in_spaced_script(piece.text.lstrip(WORD_START))
    )
    begins = [text.removeprefix(WORD_START) for text in lowered if text.startswith(WORD_START)]
    seen_begins = [word for word in begins if word in spaced]
    words = [word for word in chain(repeated, seen_begins, begins) if word not in known and _is_plain(word)]
    continued = [text for text in lowered if not text.startswith(WORD_START)]
    letters = sorted({char for word in chain(repeated, english) if word.isalpha() for char in word})
    continued = [CONTINUED + text for text in dict.fromkeys([*letters, *continued])]
    new = [*emoji, *_first(words, sizes.words), *letters, *_first(continued, sizes.continuations), *of_scripts]
    return list(known | dict.fromkeys(word for word in new if word not in known))


def emoji_of(words: Iterable[str]) -> list[str]:
    """The emoji and flags among `words`."""
    all_emoji = {*_all_emoji(), *_all_flags()}
    return [word for word in words if word in all_emoji]


def spelled_out(word: str) -> str:
    """What the encoder reads for a word: an emoji with its name, a piece without its mark."""
    if word.startswith(CONTINUED) and len(word) > len(CONTINUED):
        return word.removeprefix(CONTINUED)
    if len(word) == 1 and unicodedata.category(word) == "So":
        return f"{word} {unicodedata.name(word, '').lower()}"
    return word


def _script_pieces(texts: Sequence[str], pieces: Sequence[Piece], sizes: VocabularySizes) -> Iterator[str]:
    for script, ranges in SCRIPTS.items():
        chars = Chunker(ranges)
        candidates = _distinct(
            (text, piece.score)
            for piece in pieces
            if len(text := piece.text.lstrip(WORD_START)) <= MAX_PIECE_CHARS and chars.is_of(text)
        )
        chunker = Chunker(ranges, candidates)
        counts = Counter(chunk for text in texts for chunk in chunker.cut_by_pattern(text) if chunker.has(chunk))
        repeated = [piece for piece, count in counts.most_common() if count > 1]
        limit = sizes.han_pieces if script == "Han and kana" else sizes.script_pieces
        yield from _first(dict.fromkeys([*repeated, *candidates]), limit)


def _outside(text: str) -> Iterator[str]:
    """The chunks of a text that are not cut by longest match."""
    return (chunk for chunk in _BY_PIECES.cut_by_pattern(text) if not _BY_PIECES.has(chunk))


_BY_PIECES = Chunker(PIECE_RANGES)


def _distinct(scored: Iterable[tuple[str, float]]) -> list[str]:
    """Each text once, those of the highest score first."""
    best: dict[str, float] = {}
    for text, score in scored:
        best[text] = max(score, best.get(text, score))
    return sorted(best, key=lambda text: (-best[text], text))


def _in_spaced_script(text: str) -> bool:
    """Whether all are letters of Latin, Greek or Cyrillic, the languages of which are written with spaces."""
    return bool(text) and len(text) <= MAX_PIECE_CHARS and text.isalpha() and all(char < "\u0530" for char in text)


def _is_plain(word: str) -> bool:
    return word.isprintable() and len(word) <= 2 * MAX_PIECE_CHARS


def _first(words: Iterable[str], num: int) -> list[str]:
    return list(dict.fromkeys(words))[:num]


def _all_emoji() -> Iterator[str]:
    """Every emoji of one character. Longer ones are cut into these (`normalise.py`)."""
    for first, last in EMOJI_RANGES:
        yield from (chr(code) for code in range(first, last + 1) if unicodedata.category(chr(code)) == "So")


def _all_flags() -> Iterator[str]:
    letters = [chr(code) for code in range(0x1F1E6, 0x1F200)]
    return (first + second for first in letters for second in letters)
