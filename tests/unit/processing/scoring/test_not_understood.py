"""Texts that the network does not understand: told, called neutral, or made dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.factories.partitions import new_partition
from tests.factories.records import Record, text_record
from tests.unit.processing.scoring.reading import events, read, reasons
from worker.network import load_engine
from worker.ownership.partition import Partition
from worker.processing.slices import Slice
from worker.settings import load_settings

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
