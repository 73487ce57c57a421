"""What the Model view says by language."""

from __future__ import annotations

from typing import Any

import pytest

from worker.page.languages import figures_by_language, language_markup


def row(
    corpus: str, confusion: list[list[int]], *, error: float = 0.1, mode: str = "reset", **more: Any
) -> dict[str, Any]:
    num_texts = sum(map(sum, confusion))
    return {
        "corpus": corpus,
        "mode": mode,
        "num_texts": num_texts,
        "calibration_error": error,
        "confusion": confusion,
    } | more


TWO_CLASSES = [[40, 0, 10], [0, 0, 0], [10, 0, 40]]
THREE_CLASSES = [[8, 1, 1], [2, 6, 2], [0, 0, 10]]
ROWS = [
    row("imdb", TWO_CLASSES),  # measured before rows had a language
    row("imdb", [[50, 0, 0], [0, 0, 0], [0, 0, 50]], mode="carried"),
    row("en_tweets", THREE_CLASSES, error=0.2, language="en"),
    row("de_tweets", THREE_CLASSES, error=0.05, language="de"),
]


def test_the_corpora_of_a_language_are_added_up_and_carried_states_left_out() -> None:
    english, german = figures_by_language(ROWS)
    assert (english.language, english.corpora, english.num_texts) == ("en", ("imdb", "en_tweets"), 130)
    assert english.confusion == ((48, 1, 11), (2, 6, 2), (10, 0, 50))
    assert english.accuracy == pytest.approx(104 / 130)
    assert english.calibration_error == pytest.approx((100 * 0.1 + 30 * 0.2) / 130)
    assert (german.num_texts, german.accuracy) == (30, pytest.approx(0.8))


def test_each_language_has_a_row_and_its_confusion_and_a_hostile_name_is_text() -> None:
    shown = language_markup([*ROWS, row("x", THREE_CLASSES, language="<script>")])
    assert "<td>de</td><td>30</td><td>80.0%</td><td>5.0%</td><td>de_tweets</td>" in shown
    assert "<summary>Confusion in de</summary>" in shown
    assert "<td>negative</td><td>8</td><td>1</td><td>1</td>" in shown
    assert "<script>" not in shown


def test_a_checkpoint_without_figures_by_language_says_so() -> None:
    assert "one language alone, en: it has no figures by language" in language_markup(ROWS[:3])
    assert "No figures came with this checkpoint" in language_markup([])
