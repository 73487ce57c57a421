"""The figures of a checkpoint by language, as markup, from the rows of its metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from model import LABELS
from worker.page.views.markup import escape, table

RESET: Final = "reset"
ENGLISH: Final = "en"  # of rows that were measured before rows had a language
_NOTE: Final = (
    "Over the corpora of a language, each text from an empty state. The calibration error is the mean of the "
    "corpora's, weighted by their texts."
)


class LanguageFigures(NamedTuple):
    """Figures of one language. confusion: [true class][predicted class], number of texts."""

    language: str
    corpora: tuple[str, ...]
    num_texts: int
    calibration_error: float
    confusion: tuple[tuple[int, ...], ...]

    @property
    def accuracy(self) -> float:
        """The share of the texts whose label the network gave."""
        return sum(counts[at] for at, counts in enumerate(self.confusion)) / max(1, sum(map(sum, self.confusion)))


def figures_by_language(rows: Sequence[Mapping[str, Any]]) -> list[LanguageFigures]:
    """The figures of each language in the rows that were measured from empty states, the one of most texts first."""
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["mode"] == RESET:
            grouped.setdefault(row.get("language") or ENGLISH, []).append(row)
    found = [_added(language, group) for language, group in grouped.items()]
    return sorted(found, key=lambda one: (-one.num_texts, one.language))


def _added(language: str, rows: Sequence[Mapping[str, Any]]) -> LanguageFigures:
    num_texts = sum(row["num_texts"] for row in rows)
    error = sum(row["calibration_error"] * row["num_texts"] for row in rows) / max(1, num_texts)
    cells = zip(*(row["confusion"] for row in rows), strict=True)
    confusion = tuple(tuple(map(sum, zip(*counts, strict=True))) for counts in cells)
    return LanguageFigures(language, tuple(row["corpus"] for row in rows), num_texts, error, confusion)


def language_markup(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table of all languages and the confusion of each; or a sentence where one language alone was measured."""
    found = figures_by_language(rows)
    if not found:
        return '<p class="quiet">No figures came with this checkpoint.</p>'
    if len(found) == 1:
        only = f"measured on texts in one language alone, {found[0].language}: it has no figures by language."
        return f'<p class="quiet">This checkpoint was {escape(only)}</p>'
    head = ("Language", "Texts", "Accuracy", "Calibration error", "Corpora")
    overview = table("Languages, the one of most texts first", head, map(_cells, found))
    return f'<p class="quiet">{escape(_NOTE)}</p>{overview}' + "".join(
        confusion(one.language, one.confusion) for one in found
    )


def _cells(one: LanguageFigures) -> tuple[str, ...]:
    shares = f"{one.accuracy:.1%}", f"{one.calibration_error:.1%}"
    return escape(one.language), f"{one.num_texts:,}", *shares, escape(", ".join(one.corpora))


def confusion(name: str, counts: Sequence[Sequence[int]]) -> str:
    """A table of `counts`, (true class, predicted class), that opens at a click."""
    rows = ((label, *(f"{count:,}" for count in row)) for label, row in zip(LABELS, counts, strict=True))
    shown = table(f"{name}: rows are the texts' labels, columns the network's", ("label", *LABELS), rows)
    return f"<details><summary>Confusion in {escape(name)}</summary>{shown}</details>"
