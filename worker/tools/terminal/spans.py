"""A text, cut where its event's words begin and end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Span = tuple[int, int, float]
"""Start and end of a word in its text, and how far it moved the score."""


def split_at_words(text: str, spans: Iterable[Span]) -> Iterator[tuple[str, float]]:
    """The pieces of `text` in order, each with its change: 0 between the words. Spans that do not fit are left out."""
    at = 0
    for start, end, change in sorted(spans):
        if at <= start < end <= len(text):
            if at < start:
                yield text[at:start], 0.0
            yield text[start:end], change
            at = end
    if at < len(text):
        yield text[at:], 0.0
