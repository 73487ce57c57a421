"""Labels, scores, words and shifts as rich's Text. Control characters of a text are escaped, never written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rich.cells import set_cell_size
from rich.text import Text

from worker.records.types import ShiftEvent
from worker.records.unicode import printable
from worker.tools.terminal.spans import Span, split_at_words

COLORS: Final = {"negative": "red", "neutral": "yellow", "positive": "green"}
BAR_CELLS: Final = 6  # on either side of neutral
_LEAST_CHANGE, _CLEAR_CHANGE, _STRONG_CHANGE = 0.005, 0.15, 0.45


def label_mark(label: str, score: float) -> Text:
    """The label in its colour, with the score; a label of a later version has no colour."""
    return Text(f"{printable(label):<8} {score:+.2f}", COLORS.get(label, ""))


def score_bar(score: float) -> Text:
    """A bar from the middle: red to the left below zero, green to the right above it."""
    num_cells = min(BAR_CELLS, round(abs(score) * BAR_CELLS))
    left, right = (num_cells, 0) if score < 0 else (0, num_cells)
    return Text.assemble(
        ("·" * (BAR_CELLS - left), "dim"),
        ("█" * left, COLORS["negative"]),
        "│",
        ("█" * right, COLORS["positive"]),
        ("·" * (BAR_CELLS - right), "dim"),
    )


def word_mark(word: str, change: float, *, with_number: bool) -> Text:
    """A word in the colour of the side that it moved the score to, the stronger the further.

    with_number: the change follows it, for a terminal without colours.
    """
    size = abs(change)
    if size < _LEAST_CHANGE:
        return Text(printable(word))
    strength = "" if size < _CLEAR_CHANGE else "bold " if size < _STRONG_CHANGE else "bold reverse "
    shown = printable(word) + (f"({change:+.2f})" if with_number else "")
    return Text(shown, strength + COLORS["positive" if change > 0 else "negative"])


def coloured_text(text: str, spans: Iterable[Span], *, with_numbers: bool) -> Text:
    """The text on one line, with its words coloured."""
    pieces = split_at_words(text, spans)
    return Text.assemble(*(word_mark(piece, change, with_number=with_numbers) for piece, change in pieces))


def shift_mark(shift: ShiftEvent) -> Text:
    """What turned, from which mood to which, and since when."""
    before, after = shift.from_level, shift.to_level
    return Text.assemble(
        (" shift ", "bold reverse"),
        f" {printable(shift.stream)} turned ",
        label_of(before.label, before.score),
        " to ",
        label_of(after.label, after.score),
        f" since {printable(shift.since[11:19])} ({shift.evidence.num_records} records)",
        no_wrap=True,
        overflow="ellipsis",
    )


def label_of(label: str, score: float) -> tuple[str, str]:
    """The label and the score within a sentence, and their colour."""
    return f"{printable(label)} {score:+.2f}", COLORS.get(label, "")


def column(text: str, num_cells: int) -> str:
    """The text cut or padded to a width on the terminal."""
    shown = printable(text)
    padded = set_cell_size(shown, num_cells)
    return padded if padded.rstrip() == shown.rstrip() else set_cell_size(shown, num_cells - 1) + "…"
