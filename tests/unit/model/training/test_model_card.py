"""What the card says that a network is bad at."""

from __future__ import annotations

from model.evaluation.behaviour import Behaviour, KindFigures
from model.training.model_card import bad_at
from tests.unit.model.training.markdown import uneven_tables


def figures(kind: str, num_wrong: int) -> KindFigures:
    return KindFigures(kind, 50, num_wrong, 0.1, 0.4, 0.75, None, ())


def test_it_names_kinds_and_languages_of_which_a_tenth_is_wrong_the_worst_first() -> None:
    found = Behaviour("a", "f", (figures("names", 4), figures("irony", 5), figures("it", 10)), ())
    section = bad_at(found)
    assert uneven_tables(section) == []
    assert section.splitlines()[-2:] == [
        "| it | 50 | 20.0% | 10.0% to 40.0% | 0.75 |",
        "| irony | 50 | 10.0% | 10.0% to 40.0% | 0.75 |",
    ]
    assert "names" not in section
