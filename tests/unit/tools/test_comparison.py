"""What is counted of the events of two models, and published of it."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

from worker.records.comparison import LanguageCount
from worker.records.schemas import make_schema
from worker.records.types import EventLanguage, EventModel, TopicPartition
from worker.settings import load_settings
from worker.tools.comparison import publisher
from worker.tools.comparison.join import ComparedEvent, Join, Pair, Tally
from worker.tools.comparison.publisher import INTERVAL_S, ComparisonPublisher

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


def test_a_shadow_publishes_once_an_interval_what_its_own_model_made_of_its_own_partitions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SimpleNamespace(time=lambda: clock.now_s, now_s=1_795_000_000.0)
    monkeypatch.setattr(publisher, "time", clock)
    sent: list[Any] = []
    starts: list[float] = []

    async def start() -> None:
        starts.append(clock.now_s)

    async def send(records: list[Any]) -> None:
        sent.extend(records)

    producer: Any = SimpleNamespace(start=start, send=send)
    settings = load_settings(group="moods", output_format="json-schema", registry="http://localhost:8081")
    comparisons = ComparisonPublisher(settings, producer, NEW.fingerprint, lambda: {TopicPartition("tweets", 0)})
    agreeing, moved = (
        Pair(event(number, "positive", 0.5), event(number, label, score, NEW))
        for number, label, score in ((1, "positive", 0.7), (2, "negative", -0.5))
    )
    of_another_model = Pair(event(1, "positive"), event(1, "negative", model=OTHER))
    elsewhere = Pair(
        *(ComparedEvent("tweets-1-1", label, 0.0, model) for label, model in (("positive", OLD), ("neutral", NEW)))
    )

    async def run() -> None:
        await comparisons.start()
        await comparisons.add([agreeing, of_another_model, elsewhere])
        assert sent == []
        clock.now_s += INTERVAL_S
        await comparisons.add([moved])
        clock.now_s += INTERVAL_S
        await comparisons.add([])
        await comparisons.add([agreeing])

    asyncio.run(run())
    assert starts == [1_795_000_000.0]
    (record,) = sent
    assert (record.topic, record.partition, record.key) == ("sentiment.comparisons", 0, NEW.fingerprint.encode())
    value = json.loads(record.value)
    jsonschema.validate(value, make_schema("comparison"), cls=jsonschema.Draft202012Validator)
    assert value.pop("mean_score_change") == pytest.approx(-0.4)
    assert value.pop("mean_score_distance") == pytest.approx(0.6)
    assert value == {
        "served": {"name": "old", "fingerprint": "old-fingerprint"},
        "shadow": {"name": "new", "fingerprint": "new-fingerprint"},
        "num_compared": 2,
        "num_agreeing": 1,
        "agreement": 0.5,
        "moved": {"positive>negative": 1},
        "languages": {"en": {"num_compared": 2, "num_agreeing": 1}},
        "since": "2026-11-18T11:06:40.000Z",
        "until": "2026-11-18T11:06:45.000Z",
    }
    headers = dict(record.headers)
    assert len(headers.pop("ce_id")) == 32
    assert headers == {
        "ce_specversion": b"1.0",
        "ce_type": b"sentiment.comparison.v1",
        "ce_source": b"/moods/sentiment.comparisons",
        "content-type": b"application/json",
        "ce_time": b"2026-11-18T11:06:45.000Z",
    }
