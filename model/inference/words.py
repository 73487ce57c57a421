"""The words that a result names: chunks of a text without the quotes and stops around them."""

from __future__ import annotations

from dataclasses import dataclass

# quotes, brackets and stops that are stripped from a word when it is shown
_OPENING, _CLOSING = "\"'([\u00ab\u201c\u2018", ".,;:!?\"')]\u00bb\u201d\u2019\u2026"


@dataclass(slots=True)
class Word:
    """`text[start:end]` of the request, and how much it changed the running score (-1..1)."""

    word: str
    start: int
    end: int
    change: float


def shown_word(text: str, start: int, end: int, num_pending: int, change: float) -> Word | None:
    """The chunk text[start:end] without the quotes and stops around it; None if it belongs to an earlier piece.

    The first `num_pending` characters of `text` belong to an earlier piece: they are not shown, and indices start after
    them.
    """
    opening, shown = _trimmed(text[start:end])
    start += opening
    end = start + len(shown)
    if start < num_pending:
        start, shown = num_pending, text[num_pending:end]
    return Word(shown, start - num_pending, end - num_pending, change) if start < end else None


def _trimmed(chunk: str) -> tuple[int, str]:
    """The number of quotes and brackets before the word, and the word itself; a chunk of only signs stays whole."""
    if chunk.isalnum():
        return 0, chunk
    left = chunk.lstrip(_OPENING)
    inner = left.rstrip(_CLOSING)
    return (len(chunk) - len(left), inner) if any(map(str.isalnum, inner)) else (0, chunk)
