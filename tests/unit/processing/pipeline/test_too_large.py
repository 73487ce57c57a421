"""Outputs that their topics do not take: a dead letter in place of an event, a cut one in place of a dead letter."""

from __future__ import annotations

import json

import pytest

from model import InferenceEngine
from tests.factories.partitions import new_partition
from tests.factories.records import TWEETS, Record, text_record
from tests.metric_names import value_of
from tests.unit.processing.pipeline.scene import (
    EndedError,
    Scene,
    SmallTopics,
)
from worker.records.types import OutputRecord

LONG = "b" * 1000


def headers(letter: OutputRecord) -> dict[str, bytes | None]:
    return dict(letter.headers)


def test_an_event_that_its_topic_does_not_take_becomes_a_dead_letter_and_its_state_stays(
    tiny_engine: InferenceEngine,
) -> None:
    publisher = SmallTopics(events=1500)
    partition = new_partition(publisher=publisher)
    scene = Scene(tiny_engine, partition)
    first = [text_record(0, "a", "great flight"), text_record(1, LONG, "great flight"), text_record(2, "a", "not good")]
    scene.run(first, [text_record(3, LONG, "today")])
    assert publisher.offsets == [{TWEETS: 3}, {TWEETS: 4}]
    assert [json.loads(event.value or b"")["id"] for event in publisher.of("events")] == ["tweets-0-0", "tweets-0-2"]
    letters = [headers(letter) for letter in publisher.of("deadletters")]
    assert [(one["sentiment-offset"], one["sentiment-reason"]) for one in letters] == [
        (b"1", b"event_too_large"),
        (b"3", b"event_too_large"),
    ]
    entry = partition.entry(LONG)
    assert entry is not None
    assert entry.num_records == 2, "a rebuild, which publishes nothing, comes to the same state"
    assert value_of(scene.metrics, "sentiment_dead_letters_total", reason="event_too_large") == 2


def test_a_dead_letter_that_its_topic_does_not_take_is_cut_until_it_fits(tiny_engine: InferenceEngine) -> None:
    publisher = SmallTopics(deadletters=2000)
    Scene(tiny_engine, new_partition(publisher=publisher)).run(
        [Record(0, b"key", b"x" * 50_000), text_record(1, "a", "great flight")]
    )
    (letter,) = publisher.of("deadletters")
    assert headers(letter)["sentiment-cut-from"] == b"50003"
    assert len(letter.value or b"") > 500
    assert publisher.offsets == [{TWEETS: 2}]


def test_an_event_and_its_dead_letter_may_both_be_too_large(tiny_engine: InferenceEngine) -> None:
    publisher = SmallTopics(events=100, deadletters=1000)
    Scene(tiny_engine, new_partition(publisher=publisher)).run([text_record(0, "a", "great flight " * 100)])
    (letter,) = publisher.of("deadletters")
    assert (headers(letter)["sentiment-reason"], publisher.of("events")) == (b"event_too_large", [])
    assert int(headers(letter)["sentiment-cut-from"] or 0) > 1000


def test_a_topic_that_takes_no_dead_letter_at_all_ends_the_worker(
    tiny_engine: InferenceEngine, ended: list[BaseException]
) -> None:
    with pytest.raises(EndedError):
        Scene(tiny_engine, new_partition(publisher=SmallTopics(deadletters=100))).run(
            [Record(0, b"key", b"x" * 50_000)]
        )
    assert "sentiment.deadletters" in str(ended[0])
