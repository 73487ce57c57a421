"""Turns: what the shipped networks' streams do to clear texts and to facts, and that the sentences are sound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from model import InferenceEngine
from model.evaluation.turn_texts import TURN_TEXTS
from model.evaluation.turns import LABEL_OF, TURNS, Turn, measure_turns

CLEAR = ("clear_praise", "clear_complaint")


MAX_WRONG = {"default": 1, "en": 0}  # of 30 clear texts, read alone
MAX_TURNED = {"default": 3, "en": 0}  # of 30 clear texts, by their stream


@pytest.fixture(scope="module", params=["default", "en"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def turns(name: str, packaged_engine: Callable[[str], InferenceEngine]) -> tuple[Turn, ...]:
    return measure_turns(packaged_engine(name))


def test_every_sentence_stands_once_and_every_pair_of_kinds_has_a_turn(turns: tuple[Turn, ...]) -> None:
    texts = Counter(text for kind in TURN_TEXTS.values() for text in kind)
    assert max(texts.values()) == 1
    assert [(turn.before, turn.then) for turn in turns] == [(a, b) for a, kinds in TURNS.items() for b in kinds]
    assert {turn.then: turn.num_texts for turn in turns} == {kind: len(texts) for kind, texts in TURN_TEXTS.items()}
    assert LABEL_OF.keys() == TURN_TEXTS.keys()


def test_no_clear_text_is_turned_by_its_stream_but_three_of_default(name: str, turns: tuple[Turn, ...]) -> None:
    found = [turn for turn in turns if turn.then in CLEAR]
    assert len(found) == 6
    assert all(turn.num_right >= turn.num_texts - MAX_WRONG[name] for turn in found)
    assert all(turn.num_turned <= MAX_TURNED[name] for turn in found)


def test_facts_are_labelled_like_what_came_before_them_at_most_5_points_more_often_than_alone(
    turns: tuple[Turn, ...],
) -> None:
    found = [turn for turn in turns if turn.then == "fact"]
    assert len(found) == 4
    for turn in found:
        assert turn.num_like_before - turn.num_like_before_alone <= 0.05 * turn.num_texts


def test_mild_texts_may_be_tipped(turns: tuple[Turn, ...]) -> None:
    assert any(turn.num_turned for turn in turns if turn.then.startswith("mild"))
