"""What `tail` writes for a record."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rich.console import Console

from worker.records.codec import encode
from worker.records.types import (
    EventModel,
    EventMood,
    EventState,
    EventWord,
    MoodLevel,
    Probabilities,
    SentimentEvent,
    ShiftEvent,
    ShiftEvidence,
    Source,
)
from worker.tools.tail import show_event, show_json, show_shift

SOURCE = Source("tweets", 0, 9, "2026-11-21T05:00:09.000Z")
EVENT = SentimentEvent(
    id="tweets-0-9",
    stream="@acme [b]",
    record_id="1",
    source=SOURCE,
    label="negative",
    probabilities=Probabilities(0.8, 0.1, 0.1),
    score=-0.7,
    confidence=0.8,
    words=[EventWord("late", 0, 4, -0.5), EventWord("again", 5, 10, -0.2)],
    mood=EventMood(-0.25, 0.5, 1),
    state=EventState(1, None),
    model=EventModel("tiny", "0" * 16),
    final=True,
    latency_ms=1.0,
)
SHIFT = ShiftEvent(
    id="tweets-0-9",
    stream="@acme",
    from_level=MoodLevel("positive", 0.6),
    to_level=MoodLevel("negative", -0.5),
    since="2026-11-21T05:00:00.000Z",
    source=SOURCE,
    evidence=ShiftEvidence("self_starting_cusum", 20.0, 17.0, 12),
)


def written(make: Callable[[Console], Callable[[bytes], None]], value: bytes) -> str:
    console = Console(width=40)
    with console.capture() as captured:
        make(console)(value)
    return captured.get()


def test_an_event_is_one_line_with_its_words_however_narrow_the_terminal() -> None:
    line = written(show_event, encode(EVENT))
    assert line.count("\n") == 1
    assert all(part in line for part in ("@acme [b]", "negative -0.70", "mood -0.25", "late, again"))


def test_a_shift_is_one_line_from_one_mood_to_the_other() -> None:
    assert "@acme                positive +0.60 -> negative -0.50  since 2026" in written(show_shift, encode(SHIFT))


def test_a_record_of_somebody_else_is_said_and_passed_over() -> None:
    assert written(show_event, b'{"id": 1}').startswith("a record that is no SentimentEvent")


def test_json_is_the_value_as_it_is(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    show_json(encode(EVENT))
    assert capfdbinary.readouterr().out == encode(EVENT) + b"\n"
