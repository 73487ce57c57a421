"""What the page remembers: right against plain models, and bounded whatever flows by."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.factories.records import Record, new_event
from worker.page.live.audit import GRACE_S, Audit, OffsetSet
from worker.page.live.counters import LATENCY_PERIOD_S, WINDOW_S, DistinctCounter, LatencySketch, RateWindow
from worker.page.live.live_view import MAX_EVENTS_PER_S, LiveView
from worker.page.live.streams import StreamTable, Text
from worker.page.live.texts import MAX_WAITING, TextJoin
from worker.records.codec import encode
from worker.records.headers import EventHeaders
from worker.records.types import EventMood, Source
from worker.settings import load_settings

SETTINGS = load_settings()


@given(st.lists(st.integers(0, 60)), st.integers(0, 61))
def test_ranges_hold_what_a_set_holds(offsets: Sequence[int], bound: int) -> None:
    ranges, plain = OffsetSet(), set()
    for offset in offsets:
        assert ranges.add(offset) == (offset not in plain)
        plain.add(offset)
    assert ranges.size == len(plain)
    assert ranges.count_below(bound) == len([one for one in plain if one < bound])
    assert all((one in ranges) == (one in plain) for one in range(62))
    assert ranges.num_ranges == len([one for one in plain if one - 1 not in plain])


@given(st.data(), st.integers(1, 30))
def test_the_audit_finds_each_loss_and_each_repetition(data: st.DataObject, number: int) -> None:
    lost = data.draw(st.sets(st.integers(0, number - 1)))
    twice = data.draw(st.sets(st.integers(0, number - 1))) - lost
    answers = data.draw(st.permutations([one for one in range(number + 1) if one not in lost] + sorted(twice)))
    audit = Audit()
    for offset in range(number + 1):
        audit.input("p", offset)
    for offset in answers:
        audit.answer("p", offset, 0.0)
    early, late = audit.balance(GRACE_S), audit.balance(GRACE_S + 1)
    assert (early.lost, early.waiting, early.twice) == (0, len(lost), len(twice))
    assert (late.lost, late.waiting, late.twice) == (len(lost), 0, len(twice))


def test_an_answer_that_is_only_late_is_not_lost() -> None:
    audit = Audit()
    for offset in range(3):
        audit.input("p", offset)
    audit.answer("p", 2, 0.0)
    assert audit.balance(GRACE_S / 2).lost == 0
    audit.answer("p", 0, GRACE_S / 2)
    audit.answer("p", 1, GRACE_S / 2)
    assert audit.balance(GRACE_S * 3) == (3, 3, 0, 0, 0)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_percentile_is_within_a_tenth(latencies: list[float], share: float) -> None:
    sketch = LatencySketch()
    for latency in latencies:
        sketch.add(latency, 0.0)
    found = sketch.percentile(share, 0.0)
    assert found is not None
    exact = sorted(latencies)[max(0, -(-int(share * len(latencies) * 1000) // 1000) - 1)]
    assert found + 1 >= (exact + 1) * 0.999


def test_a_sketch_stays_small_and_forgets_old_latencies() -> None:
    sketch = LatencySketch()
    for second, latency in enumerate([5.0] * 600 + [500.0] * 600):
        for _ in range(10):
            sketch.add(latency, float(second))
    median, lowest = sketch.percentile(0.5, 1_200.0), sketch.percentile(0.0, 1_200.0)
    assert median is not None and 450 < median < 550
    assert lowest == median, "the old latencies are gone"
    assert sketch.percentile(0.5, 1_200.0 + 3 * LATENCY_PERIOD_S) is None


def test_distinct_names_are_counted_once() -> None:
    distinct = DistinctCounter()
    for number in [*range(50_000), *range(50_000)]:
        distinct.add(b"stream-%d" % number)
    assert abs(distinct.estimate() - 50_000) < 250


def test_a_rate_is_the_mean_of_whole_seconds() -> None:
    rate = RateWindow()
    for second in range(300):
        rate.add(7, second + 0.5)
    assert rate.rate(300.0) == 7.0
    assert rate.series(300.0) == [7] * WINDOW_S
    assert rate.total == 2_100


def text_of(stream: str, offset: int = 0) -> Text:
    return Text("tweets", stream, ("tweets", 0, offset), "neutral", 0.0, [], "2026-11-21T05:00:00Z")


@given(st.lists(st.tuples(st.integers(0, 40), st.floats(-1, 1)), max_size=200))
def test_the_table_is_bounded_and_keeps_the_latest_stream(records: list[tuple[int, float]]) -> None:
    table = StreamTable(10)
    for number, mood in records:
        table.line(("tweets", str(number))).add(text_of(str(number)), mood, 1)
        assert len(table) <= 10
        assert table.get(("tweets", str(number))) is not None


def test_a_stream_that_turns_outlives_those_that_stand_still() -> None:
    table = StreamTable(10)
    for mood in (0.9, -0.9):
        table.line(("tweets", "turned")).add(text_of("turned"), mood, 1)
    for number in range(12):
        table.line(("tweets", f"still-{number}")).add(text_of("still"), 0.0, 1)
    assert table.get(("tweets", "turned")) is not None
    assert table.search("TURN", 5)[0].key == ("tweets", "turned")
    assert table.num_evicted == 3


def new_live(now: list[float], *, is_audited: bool = False) -> LiveView:
    return LiveView(SETTINGS, is_audited=is_audited, now_s=lambda: now[0], max_streams=100)


def event_record(number: int, **more: Any) -> Record:
    event = new_event(
        id=f"tweets-0-{number}",
        stream=f"s{number}",
        source=Source("tweets", 0, number, "2026-11-21T05:00:00Z"),
        mood=EventMood(0.5, 0.5, 1),
    )
    value = json.dumps(json.loads(encode(event)) | more).encode()
    headers = EventHeaders(SETTINGS).of(event)
    return Record(number, event.stream.encode(), value, topic=SETTINGS.events_topic, headers=headers)


def input_record(number: int, text: str) -> Record:
    return Record(number, b"k", json.dumps({"text": text}).encode(), topic="tweets")


def test_an_event_finds_its_text_whichever_comes_first() -> None:
    live = new_live([0.0])
    live.take(input_record(0, "early"))
    live.take(event_record(0))
    live.take(event_record(1))
    live.take(input_record(1, "late"))
    assert [text.text for text in live.feed] == ["late", "early"]
    assert live.texts.num_bytes == 0


def test_events_of_many_streams_fit_bounded_memory_and_the_view_says_that_it_samples() -> None:
    now = [0.0]
    live = new_live(now)
    for second in range(3):
        now[0] = float(second)
        for number in range(MAX_EVENTS_PER_S * 2):
            live.take(event_record(second * 10_000 + number))
    now[0] = 3.0
    assert live.events.total == MAX_EVENTS_PER_S * 6
    assert live.decoded.total == MAX_EVENTS_PER_S * 3
    assert live.sampled_share() == 0.5
    assert len(live.streams) == 100
    assert abs(live.distinct.estimate() - MAX_EVENTS_PER_S * 6) < 60, (
        "streams of events that are not decoded count, too"
    )


def test_waiting_events_are_bounded() -> None:
    join = TextJoin(lambda record: "text")
    for number in range(MAX_WAITING + 10):
        join.event(text_of("s", number))
    assert len(join._waiting) == MAX_WAITING


def test_what_another_writes_into_a_topic_is_counted_and_left_out() -> None:
    live = new_live([0.0])
    for value in (b"", b"{", b'"text"', b"[]", b"{}", b"\xff"):
        live.take(Record(0, None, value, topic=SETTINGS.events_topic))
    assert live.num_unreadable == 6
    assert not live.feed


def test_languages_and_what_was_not_understood_show_once_events_have_them() -> None:
    live = new_live([0.0])
    live.take(event_record(0))
    assert live.num_not_understood is None and not live.languages
    live.take(event_record(1, language={"code": "de", "confidence": 0.9}, known=0.1, understood=False))
    assert live.num_not_understood == 1
    assert live.languages["de"] == 1
