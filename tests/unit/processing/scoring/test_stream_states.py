"""What records do to the state of their stream, which their events tell: split, erased, rebuilt, of a shadow."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import InferenceEngine
from tests.factories.partitions import new_partition
from tests.factories.records import Record, erasure, text_record
from tests.unit.processing.scoring.reading import TEXTS, events, read, reasons, same
from worker.ownership.lineage import lineage_name
from worker.records.types import ResetReason
from worker.settings import load_settings


def test_each_record_yields_one_event_with_its_place_as_id(tiny_engine: InferenceEngine) -> None:
    work = read(tiny_engine, [text_record(n, "a", TEXTS[n % 5]) for n in range(7)])
    assert [event["id"] for event in events(work)] == [f"tweets-0-{n}" for n in range(7)]
    assert [event["state"]["num_records"] for event in events(work)] == [1, 2, 3, 4, 5, 6, 7]


def test_the_state_before_a_text_bears_on_its_event(tiny_engine: InferenceEngine) -> None:
    first, second = events(read(tiny_engine, [text_record(0, "a", "great"), text_record(1, "a", "great")]))
    assert first["probabilities"] != pytest.approx(second["probabilities"])


@settings(max_examples=30)
@given(
    choices=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(TEXTS)), min_size=1, max_size=25),
    cuts=st.sets(st.integers(1, 24)),
)
def test_any_split_into_batches_gives_what_one_batch_gives(
    tiny_engine: InferenceEngine, choices: list[tuple[str, str]], cuts: set[int]
) -> None:
    records = [text_record(n, stream, text) for n, (stream, text) in enumerate(choices)]
    whole = new_partition()
    expected = events(read(tiny_engine, records, whole))
    split, found = new_partition(), []
    bounds = [0, *sorted(cut for cut in cuts if cut < len(records)), len(records)]
    for start, end in pairwise(bounds):
        found += events(read(tiny_engine, records[start:end], split))
    assert [event["id"] for event in found] == [event["id"] for event in expected]
    assert [event["score"] for event in found] == pytest.approx([event["score"] for event in expected], abs=1e-5)
    assert all(same(split.entry(stream), whole.entry(stream)) for stream in "abc")


def test_records_below_the_commit_change_states_and_publish_nothing(tiny_engine: InferenceEngine) -> None:
    records = [text_record(n, "a", text) for n, text in enumerate(TEXTS)]
    once = new_partition()
    read(tiny_engine, records, once)
    rebuilt = new_partition(committed=3)
    work = read(tiny_engine, records, rebuilt)
    assert [event["id"] for event in events(work)] == ["tweets-0-3", "tweets-0-4"]
    assert same(rebuilt.entry("a"), once.entry("a"))


def test_a_null_value_erases_the_stream_between_two_of_its_texts(tiny_engine: InferenceEngine) -> None:
    work = read(tiny_engine, [text_record(0, "a", "great"), erasure(1, "a"), text_record(2, "a", "great")])
    before, after = events(work)
    assert after["state"]["num_records"] == 1
    assert after["probabilities"] == pytest.approx(before["probabilities"], abs=1e-5)


def test_an_erased_stream_leaves_nothing(tiny_engine: InferenceEngine) -> None:
    partition = new_partition()
    read(tiny_engine, [text_record(0, "a", "great"), erasure(1, "a")], partition)
    assert partition.entry("a") is None
    assert partition.snapshot().entries == {"a": None}


def test_pieces_of_a_text_give_at_the_last_what_the_whole_gives(tiny_engine: InferenceEngine) -> None:
    text = "the film was not very good, so sad"
    (whole,) = events(read(tiny_engine, [text_record(0, "a", text)]))
    pieces = [text_record(n, "a", text[n * 9 : (n + 1) * 9], final=False) for n in range(4)]
    work = read(tiny_engine, [*pieces, text_record(4, "a", "")])
    assert reasons(work.outputs) == []
    last = events(work)[-1]
    assert last["probabilities"] == pytest.approx(whole["probabilities"], abs=1e-5)
    assert last["mood"] == pytest.approx(whole["mood"], abs=1e-5)
    assert [event["mood"]["num_records"] for event in events(work)] == [0, 0, 0, 0, 1]


def test_a_shadow_publishes_events_to_its_own_topic_and_nothing_else(tiny_engine: InferenceEngine) -> None:
    settings = load_settings(shadow=True, shift_threshold=0.01).of_shadow("ff")
    records = [text_record(n, "a", text) for n, text in enumerate(TEXTS * 3)]
    records.append(Record(len(records), key=b"a", value=b"no json"))
    work = read(tiny_engine, records, settings=settings)
    assert {output.topic for output in work.outputs} == {"sentiment.shadow"}
    assert len(work.outputs) == len(records) - 1


def test_a_shadow_keeps_the_states_of_a_rebuild_whose_resets_no_event_of_the_group_has_reported(
    tiny_engine: InferenceEngine,
) -> None:
    records = [text_record(n, "a", text) for n, text in enumerate(TEXTS)]
    lost = lineage_name("token", ResetReason.HISTORY_LOST)
    shadow, rebuilt = new_partition(lineage=lost), new_partition(lineage=lost, committed=len(records))
    read(tiny_engine, records, shadow, load_settings(shadow=True).of_shadow("ff"))
    read(tiny_engine, records, rebuilt)
    assert same(shadow.entry("a"), rebuilt.entry("a"))
    entries = shadow.entry("a"), rebuilt.entry("a")
    assert [entry and entry.reset for entry in entries] == [ResetReason.HISTORY_LOST] * 2
