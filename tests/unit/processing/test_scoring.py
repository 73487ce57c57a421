"""Records of one partition through decoding, scoring and concluding, with a real small engine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import InferenceEngine, Request, Result
from tests.factories.partitions import new_partition
from tests.factories.records import DAY_MS, START_MS, Record, erasure, text_record
from worker.errors import RecordError
from worker.network import load_engine
from worker.ownership.lineage import lineage_name
from worker.ownership.partition import Partition
from worker.processing.scoring import Scorer
from worker.processing.slices import Slice
from worker.records.types import OutputRecord, ResetReason
from worker.settings import Settings, load_settings
from worker.state.claims import TopicInfo
from worker.state.entry import StreamEntry

TEXTS = ("great flight", "the film was not good", "terrible, terrible service!", "today", "so happy :)")


def read(
    engine: InferenceEngine,
    records: Sequence[Record],
    partition: Partition | None = None,
    settings: Settings | None = None,
    scorer: Scorer | None = None,
) -> Slice:
    """Steps 2 and 4 for `records`, applied to `partition`."""
    scorer = scorer or Scorer(settings or load_settings(), engine)
    partition = partition or new_partition()
    work = Slice(partition, scorer.decode(partition.take(records)))
    planned = scorer.plan(work)
    for (item, _), answer in zip(planned, scorer.score([request for _, request in planned]), strict=True):
        if isinstance(answer, RecordError):
            item.error = answer
        else:
            item.result = answer
    scorer.conclude(work, now_ms=START_MS)
    work.partition.apply(work.changed, work.next_offset)
    return work


def events(work: Slice) -> list[dict[str, Any]]:
    return [json.loads(o.value) for o in work.outputs if o.topic == "sentiment.events" and o.value]


def reasons(outputs: Sequence[OutputRecord]) -> list[str]:
    return [dict(o.headers)["sentiment-reason"].decode() for o in outputs if o.topic == "sentiment.deadletters"]


def same(left: StreamEntry | None, right: StreamEntry | None) -> bool:
    """Equal within float32 sums that depend on what else is in the batch."""
    if left is None or right is None:
        return left is right
    close = left.state.carried == pytest.approx(right.state.carried, abs=1e-5)
    return bool(close) and (left.num_records, left.time_ms) == (right.num_records, right.time_ms)


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


def test_dead_letters_keep_their_record_and_their_neighbours_are_scored(tiny_engine: InferenceEngine) -> None:
    bad = Record(1, b"a", b"\xff\xfe", headers=[("trace", b"1")])
    work = read(tiny_engine, [text_record(0, "a", "great"), bad, text_record(2, "a", "great")])
    (letter,) = [output for output in work.outputs if output.topic == "sentiment.deadletters"]
    assert (letter.key, letter.value, letter.headers[0]) == (b"a", b"\xff\xfe", ("trace", b"1"))
    assert reasons(work.outputs) == ["invalid_utf8"]
    assert [event["state"]["num_records"] for event in events(work)] == [1, 2]


def test_a_text_of_which_nothing_is_left_is_a_dead_letter(tiny_engine: InferenceEngine) -> None:
    assert reasons(read(tiny_engine, [text_record(0, "a", "   ")]).outputs) == ["empty_text"]


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


class Allergic:
    """An engine that fails on any batch with the word `poison` in it, as a defect would."""

    def __init__(self, engine: InferenceEngine) -> None:
        self._engine = engine
        self.name, self.fingerprint, self.config = engine.name, engine.fingerprint, engine.config
        self.allergens = ("poison",)

    def has_words(self, text: str) -> bool:
        return self._engine.has_words(text)

    def score(self, requests: Sequence[Request]) -> list[Result]:
        if any(allergen in request.text for allergen in self.allergens for request in requests):
            raise ValueError("cannot read this")
        return self._engine.score(requests)


@given(poisoned=st.sets(st.integers(0, 11), max_size=6))
def test_poison_stands_alone_and_the_others_are_as_if_it_had_not_come(
    tiny_engine: InferenceEngine, poisoned: set[int]
) -> None:
    allergic: Any = Allergic(tiny_engine)
    names = ["a" if n % 3 else "b" for n in range(12)]
    records = [text_record(n, names[n], "poison" if n in poisoned else TEXTS[n % 5]) for n in range(12)]
    work = read(allergic, records, scorer=Scorer(load_settings(), allergic))
    clean = read(tiny_engine, [record for n, record in enumerate(records) if n not in poisoned])
    assert reasons(work.outputs) == ["poison"] * len(poisoned)
    assert [e["score"] for e in events(work)] == pytest.approx([e["score"] for e in events(clean)], abs=1e-5)
    assert [e["state"] for e in events(work)] == [e["state"] for e in events(clean)]


def test_an_engine_that_reads_nothing_at_all_is_no_fault_of_the_records(tiny_engine: InferenceEngine) -> None:
    broken: Any = Allergic(tiny_engine)
    broken.allergens = ("",)
    with pytest.raises(ValueError, match="cannot read this"):
        read(broken, [text_record(0, "a", "great")], scorer=Scorer(load_settings(), broken))


GERMAN = "Das Essen war leider kalt und der Service sehr langsam"


def _read_with(
    tiny_checkpoint: Path, policy: str, records: Sequence[Record], partition: Partition | None = None
) -> Slice:
    chosen = load_settings(not_understood=policy, checkpoint=tiny_checkpoint)
    return read(load_engine(chosen), records, partition, chosen)


def test_an_event_says_what_the_network_does_not_know(tiny_checkpoint: Path) -> None:
    work = _read_with(
        tiny_checkpoint, "score", [text_record(0, "a", "the service was great"), text_record(1, "a", GERMAN)]
    )
    english, german = events(work)
    assert (english["language"]["code"], english["known"], english["understood"]) == ("en", 1.0, True)
    assert (german["language"]["code"], german["understood"]) == ("de", False)
    assert german["language"]["confidence"] > 0.5 > german["known"]
    assert german["confidence"] <= 1 / 3
    assert german["mood"]["num_records"] == german["state"]["num_records"] == 2


def test_a_text_that_is_not_understood_can_be_called_neutral_and_leaves_state_and_mood_alone(
    tiny_checkpoint: Path,
) -> None:
    records = [text_record(n, "a", text) for n, text in enumerate(["so great", GERMAN, "very bad"])]
    first, neutral, last = events(_read_with(tiny_checkpoint, "neutral", records))
    assert (neutral["label"], neutral["score"], neutral["words"], neutral["understood"]) == ("neutral", 0.0, [], False)
    assert list(neutral["probabilities"].values()) == pytest.approx([1 / 3] * 3)
    assert neutral["mood"]["score"] == first["mood"]["score"]
    *_, without = events(_read_with(tiny_checkpoint, "neutral", [records[0], records[2]]))
    assert last["probabilities"] == pytest.approx(without["probabilities"], abs=1e-6)
    assert last["mood"] == without["mood"]


@pytest.mark.parametrize("num_batches", [1, 4])
@pytest.mark.parametrize("committed", [0, 4])
def test_a_text_that_is_not_understood_can_become_a_dead_letter_that_leaves_its_stream_as_it_was(
    tiny_checkpoint: Path, num_batches: int, committed: int
) -> None:
    records = [
        text_record(0, "a", "so great"),
        text_record(1, "a", GERMAN[:20], final=False),
        text_record(2, "a", GERMAN[20:]),
        text_record(3, "a", "very bad"),
    ]
    partition, found = new_partition(committed=committed), []
    size = len(records) // num_batches
    for start in range(0, len(records), size):
        found.append(_read_with(tiny_checkpoint, "deadletter", records[start : start + size], partition))
    outputs = [output for work in found for output in work.outputs]
    plain = new_partition(committed=committed)
    expected = _read_with(tiny_checkpoint, "deadletter", [records[0], records[3]], plain)
    entry, without = partition.entry("a"), plain.entry("a")
    assert entry is not None
    assert without is not None
    assert entry.state.open_text is None
    assert entry.state.carried == pytest.approx(without.state.carried, abs=1e-6)
    assert (entry.mood, entry.state.num_texts) == (without.mood, 2)
    if committed:
        assert outputs == []
    else:
        assert reasons(outputs) == ["not_understood"]
        shown = [event for work in found for event in events(work)]
        assert [event["id"] for event in shown] == ["tweets-0-0", "tweets-0-1", "tweets-0-3"]
        assert shown[-1]["probabilities"] == pytest.approx(events(expected)[-1]["probabilities"], abs=1e-6)


def test_a_dead_letter_of_a_new_stream_leaves_no_stream(tiny_checkpoint: Path) -> None:
    partition = new_partition()
    work = _read_with(tiny_checkpoint, "deadletter", [text_record(0, "a", GERMAN)], partition)
    assert reasons(work.outputs) == ["not_understood"]
    assert partition.entry("a") is None


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
