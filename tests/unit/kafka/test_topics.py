"""Which topics do not fit the settings, and what to do about each."""

from __future__ import annotations

from worker.kafka.topics import find_problems
from worker.settings import Settings

SETTINGS = Settings(topics=("a", "b"), events_topic="e", shifts_topic="s", deadletters_topic="d")


def test_outputs_that_fit_their_inputs_are_no_problem() -> None:
    assert not find_problems(SETTINGS, {"a": 4, "b": 2, "e": 4, "s": 1, "d": 1})
    assert not find_problems(SETTINGS, {"a": 4, "b": 2, "e": 8, "s": 8, "d": 8})


def test_every_missing_topic_is_named_at_once() -> None:
    (problem,) = find_problems(SETTINGS, {"a": 4, "e": 4})
    assert "b, s, d" in problem
    assert "`sentiment topics` creates them" in problem


def test_too_few_event_partitions_are_named_with_what_to_do() -> None:
    (problem,) = find_problems(SETTINGS, {"a": 4, "b": 6, "e": 5, "s": 1, "d": 1})
    assert "e has 5 partitions, the input b has 6" in problem
    assert "--topic e --partitions 6" in problem


def test_all_problems_are_told_together() -> None:
    assert len(find_problems(SETTINGS, {"a": 4, "b": 6, "e": 5, "s": 1})) == 2
