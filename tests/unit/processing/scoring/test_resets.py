"""Streams that begin again, by their age, their log or their partition, say so in one event."""

from __future__ import annotations

import pytest

from model import InferenceEngine
from tests.factories.partitions import new_partition
from tests.factories.records import DAY_MS, START_MS, Record, text_record
from tests.unit.processing.scoring.reading import events, read, reasons
from worker.ownership.lineage import lineage_name
from worker.records.types import ResetReason
from worker.state.claims import TopicInfo


def test_a_stream_silent_for_longer_than_its_time_to_live_starts_empty(tiny_engine: InferenceEngine) -> None:
    late = (START_MS + 31 * DAY_MS) / 1000
    first, second, third = (
        text_record(0, "a", "great"),
        text_record(1, "a", "great", time=late),
        text_record(2, "a", "great", time=late),
    )
    for record in (second, third):
        record.timestamp = START_MS + 31 * DAY_MS
    found = events(read(tiny_engine, [first, second, third]))
    assert [event["state"] for event in found] == [
        {"num_records": 1, "reset": None},
        {"num_records": 1, "reset": "expired"},
        {"num_records": 2, "reset": None},
    ]


def late_record(offset: int, text: str) -> Record:
    """Of the stream a, after a silence in which it expires."""
    late_ms = START_MS + 40 * DAY_MS
    record = text_record(offset, "a", text, time=late_ms / 1000)
    record.timestamp = late_ms
    return record


def test_an_expiry_that_an_event_has_told_is_not_told_again_after_a_rebuild(tiny_engine: InferenceEngine) -> None:
    partition = new_partition(committed=2)
    read(tiny_engine, [text_record(0, "a", "great"), late_record(1, "great")], partition)
    (event,) = events(read(tiny_engine, [late_record(2, "great")], partition))
    assert event["state"] == {"num_records": 2, "reset": None}


def test_a_dead_letter_leaves_its_stream_as_it_was_however_late_it_is(tiny_engine: InferenceEngine) -> None:
    work = read(tiny_engine, [text_record(0, "a", "great"), late_record(1, " "), text_record(2, "a", "great")])
    assert reasons(work.outputs) == ["empty_text"]
    assert [event["state"]["num_records"] for event in events(work)] == [1, 2]


def test_a_stream_whose_past_left_the_log_says_so_in_its_first_event(tiny_engine: InferenceEngine) -> None:
    partition = new_partition(lineage=lineage_name("one", ResetReason.HISTORY_LOST), committed=1)
    work = read(tiny_engine, [text_record(0, "a", "great"), text_record(1, "a", "great")], partition)
    (event,) = events(work)
    assert event["state"] == {"num_records": 2, "reset": "history_lost"}
    (event,) = events(read(tiny_engine, [text_record(2, "a", "great")], partition))
    assert event["state"]["reset"] is None


@pytest.mark.parametrize("reset", [ResetReason.TOPIC_RECREATED, ResetReason.LOG_TRUNCATED])
def test_a_stream_whose_log_changed_says_so_in_its_first_event(
    tiny_engine: InferenceEngine, reset: ResetReason
) -> None:
    partition = new_partition(lineage=lineage_name("one", reset))
    work = read(tiny_engine, [text_record(0, "a", "great"), text_record(1, "a", "great")], partition)
    assert [event["state"]["reset"] for event in events(work)] == [reset, None]
    assert work.resets == [reset]


@pytest.mark.parametrize("committed", [0, 1], ids=["new", "rebuilt"])
def test_a_stream_that_came_from_another_partition_says_so_in_its_first_event_alone(
    tiny_engine: InferenceEngine, committed: int
) -> None:
    grown = {"topic": TopicInfo("", 8), "num_partitions_before": 3}
    (moved, *_), (stayed, *_) = (
        [key for key in map(str, range(100)) if new_partition(**grown).first_seen_reset(key.encode()) == reset]
        for reset in (ResetReason.MOVED, None)
    )
    partition = new_partition(committed=committed, **grown)
    work = read(tiny_engine, [text_record(n, (moved, moved, stayed)[n], "great") for n in range(3)], partition)
    assert [event["state"]["reset"] for event in events(work)] == [ResetReason.MOVED, None, None][committed:]
