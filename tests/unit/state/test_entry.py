"""The bytes of an entry are the same in every version of the code; bytes of another kind are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from model import ModelConfig, StateError, StreamState
from worker.records.types import ResetReason
from worker.settings import load_settings
from worker.state.entry import StreamEntry
from worker.state.mood import Cusum, MoodTracker

CONFIG = ModelConfig(num_words=1, num_buckets=1, embedding_size=1, hidden_size=1, summary_size=1, stream_size=2)
FINGERPRINT = "0123456789abcdef"


def new_entry(reset: ResetReason | None = None) -> StreamEntry:
    mood, _ = MoodTracker(load_settings()).update(None, 0.5, 1_700_000_000_000)
    carried = np.array([[0.25, -0.5], [1.0, 2.0]], np.float32)
    return StreamEntry(StreamState(carried, 3), mood, 3, 1_700_000_000_000, reset)


@pytest.mark.parametrize("reset", [None, *ResetReason])
def test_an_entry_survives_encoding_and_decoding(reset: ResetReason | None) -> None:
    entry = new_entry(reset)
    back = StreamEntry.from_bytes(entry.to_bytes(FINGERPRINT), CONFIG, FINGERPRINT)
    assert (back.mood, back.num_records, back.time_ms, back.reset) == (
        entry.mood,
        entry.num_records,
        entry.time_ms,
        entry.reset,
    )
    assert np.array_equal(back.state.carried, entry.state.carried)


def test_an_entry_without_mood_survives_encoding_and_decoding() -> None:
    entry = StreamEntry(StreamState.empty(CONFIG), None, 1, 5)
    assert StreamEntry.from_bytes(entry.to_bytes(FINGERPRINT), CONFIG, FINGERPRINT).mood is None


OLD_HEADER = "01028d0003000000000000000068e5cf8b010000"
OLD_MOOD = (
    "01 000000000000e03f 000000000000e03f 000000000000f03f 0100000000000000 0068e5cf8b010000"
    " 01000000 000000000000e03f 0000000000000000" + " 0000000000000000" * 10
)


def old_entry(reset: ResetReason | None = None) -> bytes:
    """The bytes of `new_entry` as versions before the second format wrote them."""
    header = bytearray.fromhex(OLD_HEADER)
    header[1] = 0 if reset is None else 1 + list(ResetReason).index(reset)
    return bytes(header) + bytes.fromhex(OLD_MOOD) + new_entry().state.to_bytes(FINGERPRINT)


def test_an_entry_of_an_earlier_version_is_read() -> None:
    entry, back = new_entry(), StreamEntry.from_bytes(old_entry(), CONFIG, FINGERPRINT)
    assert (back.mood, back.num_records, back.time_ms, back.reset) == (entry.mood, 3, 1_700_000_000_000, None)
    assert np.array_equal(back.state.carried, entry.state.carried)
    assert bytes.fromhex(OLD_HEADER)[1] == 2  # in OLD_HEADER, that is the reason
    whole = bytes.fromhex(OLD_HEADER) + old_entry()[20:]
    assert StreamEntry.from_bytes(whole, CONFIG, FINGERPRINT).reset is ResetReason.EXPIRED


@pytest.mark.parametrize("length", [1, 19, 20, 100, 161])
def test_a_truncated_entry_of_an_earlier_version_is_refused(length: int) -> None:
    with pytest.raises(StateError):
        StreamEntry.from_bytes(old_entry()[:length], CONFIG, FINGERPRINT)


def test_the_header_bytes_are_those_of_this_format() -> None:
    assert new_entry(ResetReason.EXPIRED).to_bytes(FINGERPRINT)[:15].hex() == "020c31930203cf0000018bcfe56800"


def test_an_entry_of_the_packaged_size_fits_the_smaller_room_of_redis_allocator() -> None:
    mood, time_ms = None, 1_700_000_000_000
    for number in range(300):
        mood, _ = MoodTracker(load_settings()).update(mood, 0.5 if number % 3 else -0.1, time_ms + 86_000_000 * number)
    assert mood is not None
    assert (mood.up.num_records > 0) != (mood.down.num_records > 0)
    state = StreamState(np.ones((2, 96), np.float32), 300)
    entry = StreamEntry(state, mood, 300, mood.time_ms)
    assert len(entry.to_bytes(FINGERPRINT)) <= 890


def test_a_header_that_was_altered_is_refused() -> None:
    data = bytearray(new_entry().to_bytes(FINGERPRINT))
    data[4] = 7  # a reason that there is not
    with pytest.raises(StateError, match="reset reason 7"):
        StreamEntry.from_bytes(bytes(data), CONFIG, FINGERPRINT)
    data[1] += 1
    with pytest.raises(StateError):
        StreamEntry.from_bytes(bytes(data), CONFIG, FINGERPRINT)


def test_each_reason_keeps_its_number() -> None:
    numbers = {reset: new_entry(reset).to_bytes(FINGERPRINT)[4] for reset in [None, *ResetReason]}
    assert numbers == {
        None: 0,
        ResetReason.HISTORY_LOST: 1,
        ResetReason.EXPIRED: 2,
        ResetReason.NOT_FINITE: 3,
        ResetReason.TOPIC_RECREATED: 4,
        ResetReason.LOG_TRUNCATED: 5,
        ResetReason.MOVED: 6,
    }


def test_bytes_of_another_version_are_refused_with_the_version() -> None:
    data = b"\x07" + new_entry().to_bytes(FINGERPRINT)[1:]
    with pytest.raises(StateError, match="version 7"):
        StreamEntry.from_bytes(data, CONFIG, FINGERPRINT)


@pytest.mark.parametrize("length", [0, 1, 19, 40])
def test_truncated_bytes_are_refused(length: int) -> None:
    with pytest.raises(StateError):
        StreamEntry.from_bytes(new_entry().to_bytes(FINGERPRINT)[:length], CONFIG, FINGERPRINT)


def test_the_state_of_another_model_is_refused() -> None:
    with pytest.raises(StateError):
        StreamEntry.from_bytes(new_entry().to_bytes(FINGERPRINT), CONFIG, "f" * 16)


def test_a_reset_is_reported_once() -> None:
    assert new_entry(ResetReason.EXPIRED).reported().reset is None


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "changes",
    [
        *({name: value} for name in ("score", "magnitude", "weight", "reference_mean") for value in (NAN, INF, -2.0)),
        {"reference_variance": -1.0},
        {"num_records": -1},
        {"reference_records": 201},
        {"up": Cusum(NAN, 1, 0.0, 0, 0.0)},
        {"down": Cusum(1.0, 1, 5.0, 0, 0.0)},
    ],
)
def test_a_mood_that_no_records_give_is_refused(changes: dict[str, Any]) -> None:
    entry = new_entry()
    assert entry.mood is not None
    data = replace(entry, mood=replace(entry.mood, **changes)).to_bytes(FINGERPRINT)
    with pytest.raises(StateError, match="none that records give"):
        StreamEntry.from_bytes(data, CONFIG, FINGERPRINT)


def test_a_negative_number_of_records_is_refused() -> None:
    with pytest.raises(StateError, match="-1 records"):
        StreamEntry.from_bytes(replace(new_entry(), num_records=-1).to_bytes(FINGERPRINT), CONFIG, FINGERPRINT)
