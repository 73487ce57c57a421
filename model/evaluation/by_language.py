"""The figures of an evaluation by language, as cells of a table."""

from __future__ import annotations

from collections.abc import Iterator

from model.evaluation.evaluate import RESET, Evaluation

LANGUAGE_HEADINGS = ("language", "corpus", "texts", "accuracy", "95%", "macro-F1", "95% of macro-F1")


def rows_by_language(evaluation: Evaluation) -> Iterator[tuple[str, ...]]:
    """The cells of each corpus under LANGUAGE_HEADINGS, its texts read from an empty state, where macro-F1 is known."""
    for row in sorted(evaluation.rows, key=lambda row: (row.language, row.corpus)):
        if row.mode == RESET and row.macro_f1 is not None and row.accuracy_interval and row.macro_f1_interval:
            (low, high), (f1_low, f1_high) = row.accuracy_interval, row.macro_f1_interval
            accuracy = f"{row.accuracy:.1%}", f"{low:.1%} to {high:.1%}"
            f1 = f"{row.macro_f1:.3f}", f"{f1_low:.3f} to {f1_high:.3f}"
            yield row.language, row.corpus, f"{row.num_texts:,}", *accuracy, *f1


def tweets_line(evaluation: Evaluation) -> str:
    """The mean over the languages of UMSAB as a sentence; empty if one of them was not measured."""
    mean = evaluation.tweets_macro_f1
    return "" if mean is None else f"Tweets of eight languages (UMSAB): macro-F1 {mean:.3f} in the mean."
