"""What is counted of the events of two models."""

from __future__ import annotations

import pytest

from worker.records.types import EventLanguage, EventModel
from worker.tools.comparison.join import ComparedEvent, Join, LanguageCount, Pair, Tally

OLD, NEW, OTHER = (EventModel(name, f"{name}-fingerprint") for name in ("old", "new", "other"))


def event(number: int, label: str, score: float = 0.0, model: EventModel = OLD, language: str = "en") -> ComparedEvent:
    return ComparedEvent(f"tweets-0-{number}", label, score, model, EventLanguage(language, 1.0))


def test_events_of_one_record_meet_whichever_is_read_first() -> None:
    join = Join(max_waiting_served=10)
    assert list(join.add_served(event(1, "neutral"))) == []
    assert list(join.add_shadow(event(2, "positive", model=NEW))) == []
    assert list(join.add_shadow(event(2, "negative", model=OTHER))) == []
    assert list(join.add_shadow(event(1, "neutral", model=NEW))) == [
        Pair(event(1, "neutral"), event(1, "neutral", model=NEW))
    ]
    pairs = list(join.add_served(event(2, "positive")))
    assert {pair.shadow.model.name: pair.agrees for pair in pairs} == {"new": True, "other": False}
    assert join.num_waiting == 0


def test_what_waits_is_bounded_and_the_oldest_is_forgotten() -> None:
    join = Join(max_waiting_served=0, max_waiting_shadow=2)
    for number in range(3):
        assert list(join.add_shadow(event(number, "neutral", model=NEW))) == []
    assert join.num_waiting == 2
    assert [len(list(join.add_served(event(number, "neutral")))) for number in range(3)] == [0, 1, 1]
    assert list(join.add_shadow(event(2, "neutral", model=NEW))) == []


def test_a_comparison_counts_labels_that_move_scores_that_change_and_languages() -> None:
    tally = Tally()
    for number, (served, shadow, change, language) in enumerate(
        [
            ("positive", "positive", 0.1, "en"),
            ("positive", "negative", -0.9, "en"),
            ("neutral", "positive", 0.2, "de"),
            ("positive", "negative", -0.4, "de"),
            ("neutral", "neutral", 0.0, "en"),
        ]
    ):
        tally.add(Pair(event(number, served, 0.5, language=language), event(number, shadow, 0.5 + change, NEW)))
    tally.add(Pair(event(9, "neutral"), event(9, "neutral", model=OTHER)))
    found, other = tally.comparisons()
    assert (found.served, found.shadow, other.shadow) == (OLD, NEW, OTHER)
    assert (found.num_compared, found.num_agreeing, found.agreement) == (5, 2, 0.4)
    assert list(found.moved.items()) == [("positive>negative", 2), ("neutral>positive", 1)]
    assert found.mean_score_change == pytest.approx(-0.2)
    assert found.mean_score_distance == pytest.approx(0.32)
    assert found.languages == {"en": LanguageCount(3, 2), "de": LanguageCount(2, 0)}
