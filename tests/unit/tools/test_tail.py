"""What `sentiment tail` writes for a record."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rich.console import Console

from tests.factories.records import new_event, new_shift
from worker.records.codec import encode
from worker.records.types import EventMood, EventWord
from worker.tools.tail import show_event, show_json, show_shift

EVENT = new_event(
    stream="@acme [b]",
    label="negative",
    score=-0.7,
    words=[EventWord("late", 0, 4, -0.5), EventWord("again", 5, 10, -0.2)],
    mood=EventMood(-0.25, 0.5, 1),
)


def written(make: Callable[[Console], Callable[[bytes], None]], value: bytes) -> str:
    console = Console(width=40)
    with console.capture() as captured:
        make(console)(value)
    return captured.get()


def test_an_event_is_one_line_with_its_words_even_in_a_narrow_terminal() -> None:
    line = written(show_event, encode(EVENT))
    assert line.count("\n") == 1
    assert all(part in line for part in ("@acme [b]", "negative -0.70", "mood -0.25", "late, again"))


def test_a_shift_is_one_line_from_one_mood_to_the_other() -> None:
    assert "@acme                positive +0.60 -> negative -0.50  since 2026" in written(
        show_shift, encode(new_shift())
    )


def test_a_record_that_is_not_an_event_is_reported_and_skipped() -> None:
    assert written(show_event, b'{"id": 1}').startswith("a record that is not a SentimentEvent")


@pytest.mark.parametrize("value", [b"null", b"", b"\xff", b'{"id": "caf\xe9"}'])
def test_whatever_is_in_the_topic_the_next_record_is_shown(value: bytes) -> None:
    assert written(show_event, value).startswith("a record that is not a SentimentEvent")


def test_a_label_of_a_later_version_is_shown_without_a_colour() -> None:
    assert "mixed    -0.70" in written(show_event, encode(EVENT).replace(b':"negative"', b':"mixed"'))


def test_json_output_is_the_value_unchanged(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    show_json(encode(EVENT))
    assert capfdbinary.readouterr().out == encode(EVENT) + b"\n"
