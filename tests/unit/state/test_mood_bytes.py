"""The bytes of a mood, of this format and of the earlier one."""

from hashlib import sha256
from struct import Struct

import pytest
from hypothesis import given

from model import StateError
from tests.unit.state.moods import HOUR_MS, RECORDS, TIMES, read, turning
from worker.state.mood import Cusum, MoodState

GOLDEN = MoodState(
    *(-0.25, 0.75, 1.5, 7, 1_763_701_200_000),
    *(6, 0.125, 0.0625),
    Cusum(2.5, 3, 1.75, 1_763_701_100_000, 0.5),
    Cusum(0.0, 0, 0.0, 0, 0.0),
)
GOLDEN_BYTES = (
    "01 000000000000d0bf 000000000000e83f 000000000000f83f 0700000000000000 8094c8a49a010000"
    " 06000000 000000000000c03f 000000000000b03f"
    " 0000000000000440 0300000000000000 000000000000fc3f e00dc7a49a010000 000000000000e03f"
    " 0000000000000000 0000000000000000 0000000000000000 0000000000000000 0000000000000000"
)
NEW_BYTES = (
    "020e9607cd01f4ccc203ce0001889400000000000000d0bf000000000000e83f000000000000f83f000000000000c03f0000"
    "00000000b03f0000000000000440000000000000fc3f000000000000e03f"
)


def old_bytes(mood):
    """The bytes that versions before the second format wrote: every field, of fixed size."""
    sides = [
        (side.statistic, side.num_records, side.score_sum, side.since_ms, side.before) for side in (mood.up, mood.down)
    ]
    reference = (mood.reference_records, mood.reference_mean, mood.reference_variance)
    means = (mood.score, mood.magnitude, mood.weight, mood.num_records, mood.time_ms)
    return Struct("<B 3d Qq I2d dQdqd dQdqd").pack(1, *means, *reference, *sides[0], *sides[1])


def test_the_bytes_that_earlier_versions_wrote_are_still_read():
    assert old_bytes(GOLDEN) == bytes.fromhex(GOLDEN_BYTES)
    assert MoodState.from_bytes(bytes.fromhex(GOLDEN_BYTES)) == GOLDEN
    assert MoodState.from_bytes(bytes.fromhex(GOLDEN_BYTES), origin_ms=1_763_701_200_000) == GOLDEN


def test_the_bytes_of_a_state_are_those_of_this_format():
    assert GOLDEN.to_bytes(1_763_701_200_500) == bytes.fromhex(NEW_BYTES)
    assert MoodState.from_bytes(bytes.fromhex(NEW_BYTES), 1_763_701_200_500) == GOLDEN


@given(RECORDS, TIMES)
def test_a_state_survives_encoding_and_decoding_from_any_origin(records, origin_ms):
    mood, _ = read(records)
    assert MoodState.from_bytes(mood.to_bytes(origin_ms), origin_ms) == mood


@given(RECORDS)
def test_a_state_of_the_earlier_format_is_read_as_what_it_was(records):
    mood, _ = read(records)
    assert MoodState.from_bytes(old_bytes(mood)) == mood


def test_the_same_records_give_the_bytes_that_earlier_versions_computed():
    """If this fails, states in Redis disagree with a replay of the log: increase the version byte."""
    records = [(score, HOUR_MS * number) for number, (score, _) in enumerate(turning(num_after=6))]
    mood, _ = read(records)
    assert mood.down.statistic > 0
    assert sha256(old_bytes(mood)).hexdigest() == "b3de421a85e4d1e2fd17d89d3ab33a51ad08a787a8d1e4361c662ef5d68ef5c0"


def test_the_size_of_a_state_is_bounded_however_many_records_it_has_seen():
    one, turned = (read(records)[0] for records in ([(0.0, 0)], turning()))
    assert len(one.to_bytes(one.time_ms)) == 49
    assert len(turned.to_bytes(turned.time_ms)) <= 49 + 2 * (24 + 8) + 4


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "version missing"),
        (b"\x03" + GOLDEN.to_bytes()[1:], "version 03"),
        (GOLDEN.to_bytes()[:-1], "truncated"),
        (GOLDEN.to_bytes()[:1], "truncated"),
        (GOLDEN.to_bytes()[:5], "truncated"),
        (GOLDEN.to_bytes() + b"\0", "its own lengths"),
        (bytes.fromhex(GOLDEN_BYTES)[:-1], "140 bytes"),
        (bytes.fromhex(GOLDEN_BYTES) + b"\0", "142 bytes"),
    ],
)
def test_bytes_of_another_version_or_size_are_refused_with_the_reason(data, reason):
    with pytest.raises(StateError, match=reason):
        MoodState.from_bytes(data)
