"""The running mood, its bytes, and the detection of shifts."""

from hashlib import sha256
from math import exp2, inf, nan
from struct import Struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import StateError
from tests import mood_rates
from worker.settings import Settings
from worker.state.mood import METHOD, MIN_REFERENCE_RECORDS, Cusum, MoodState, MoodTracker, level_label

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
SETTINGS = Settings(mood_half_life_s=3600, state_ttl_s=86_400)
TRACKER = MoodTracker(SETTINGS)

SCORES = st.floats(-1, 1)
TIMES = st.integers(0, 10 * DAY_MS)
RECORDS = st.lists(st.tuples(SCORES, TIMES), min_size=1, max_size=80)


def read(records, mood=None, tracker=TRACKER):
    """The mood after the records, and the shifts that they revealed."""
    found = []
    for score, time_ms in records:
        mood, shift = tracker.update(mood, score, time_ms)
        if shift:
            found.append(shift)
    return mood, found


def turning(num_before=100, num_after=60, before=0.5, after=-0.5):
    """A stream with one record a second whose mean score changes once, from `before` to `after`."""
    scores = [before + 0.1 * (-1) ** i for i in range(num_before)] + [after + 0.1 * (-1) ** i for i in range(num_after)]
    return [(score, 1000 * i) for i, score in enumerate(scores)]


@given(RECORDS, st.data())
def test_a_replay_from_any_stored_state_gives_the_same_bytes(records, data):
    whole, _ = read(records)
    cut = data.draw(st.integers(0, len(records)))
    stored = read(records[:cut])[0].to_bytes() if cut else None
    resumed, _ = read(records[cut:], MoodState.from_bytes(stored) if stored else None)
    assert resumed.to_bytes() == whole.to_bytes()


@given(st.integers(1, 90))
def test_a_replay_finds_the_same_shifts_wherever_it_resumes(cut):
    records = turning(num_after=40)
    _, shifts = read(records)
    stored, earlier = read(records[:cut])
    _, later = read(records[cut:], MoodState.from_bytes(stored.to_bytes()))
    assert shifts
    assert earlier + later == shifts


@given(RECORDS)
def test_the_means_stay_within_their_bounds(records):
    mood, _ = read(records)
    assert -1 <= mood.score <= 1
    assert 0 <= mood.magnitude <= 1
    assert abs(mood.score) <= mood.magnitude + 1e-12
    assert mood.num_records == len(records)
    assert mood.time_ms == max(time_ms for _, time_ms in records)


@given(RECORDS, st.randoms())
def test_the_order_of_arrival_changes_the_means_only_by_rounding(records, random):
    shuffled = random.sample(records, len(records))
    one, other = read(records)[0], read(shuffled)[0]
    assert other.score == pytest.approx(one.score, abs=1e-9)
    assert other.magnitude == pytest.approx(one.magnitude, abs=1e-9)
    assert (other.num_records, other.time_ms) == (one.num_records, one.time_ms)


@given(RECORDS)
def test_the_mood_is_the_mean_weighted_by_the_age_in_half_lives(records):
    mood, _ = read(records)
    weights = [exp2((time_ms - mood.time_ms) / HOUR_MS) for _, time_ms in records]
    mean = sum(w * score for w, (score, _) in zip(weights, records, strict=True)) / sum(weights)
    magnitude = sum(w * abs(score) for w, (score, _) in zip(weights, records, strict=True)) / sum(weights)
    assert mood.score == pytest.approx(mean, abs=1e-9)
    assert mood.magnitude == pytest.approx(magnitude, abs=1e-9)
    assert mood.weight == pytest.approx(sum(weights))


def test_after_one_half_life_the_past_weighs_half():
    mood, _ = read([(1.0, 0), (-1.0, HOUR_MS)])
    assert mood.score == (0.5 * 1.0 - 1.0) / 1.5
    assert mood.magnitude == 1.0


def test_a_late_record_has_the_weight_of_its_age_and_does_not_move_the_clock():
    mood, _ = read([(1.0, HOUR_MS), (-1.0, 0)])
    assert mood.time_ms == HOUR_MS
    assert mood.score == (1.0 - 0.5 * 1.0) / 1.5


def test_a_stream_expires_after_a_silence_longer_than_its_time_to_live():
    mood, _ = read([(0.5, DAY_MS)])
    assert not TRACKER.is_expired(mood, 2 * DAY_MS)
    assert TRACKER.is_expired(mood, 2 * DAY_MS + 1)


def test_a_late_record_never_expires_a_stream():
    mood, _ = read([(0.5, 9 * DAY_MS)])
    assert not TRACKER.is_expired(mood, 0)


@pytest.mark.parametrize("score", [nan, inf, 1.01, -1.01])
def test_a_score_out_of_bounds_is_refused(score):
    with pytest.raises(ValueError, match=r"not in -1\.\.1"):
        TRACKER.update(None, score, 0)


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


def test_a_mood_that_turns_yields_one_shift_with_its_evidence():
    _, shifts = read(turning(num_before=100, before=0.5, after=-0.5))
    assert len(shifts) == 1
    (shift,) = shifts
    assert shift.from_score == pytest.approx(0.5, abs=0.05)
    assert shift.to_score == pytest.approx(-0.5, abs=0.05)
    assert shift.since_ms == 100_000
    assert shift.statistic > shift.threshold == SETTINGS.shift_threshold
    assert shift.num_records < 15
    assert shift.method == METHOD


def test_a_turn_for_the_better_is_found_too():
    _, (shift,) = read(turning(before=-0.5, after=0.5))
    assert shift.from_score < 0 < shift.to_score
    assert shift.since_ms == 100_000


def test_a_mood_that_turns_back_later_yields_a_second_shift():
    there = turning(num_after=60)
    back = [(score, 200_000 + time_ms) for score, time_ms in turning(num_before=0, num_after=60, after=0.5)]
    _, shifts = read(there + back)
    assert [shift.to_score > 0 for shift in shifts] == [False, True]


@given(st.lists(SCORES, min_size=MIN_REFERENCE_RECORDS, max_size=MIN_REFERENCE_RECORDS))
def test_no_score_is_tested_before_the_reference_has_enough_records(scores):
    mood, _ = read([(score, 0) for score in scores])
    assert mood.up == mood.down == Cusum()
    odd = -1.0 if mood.reference_mean > 0 else 1.0
    judged, _ = read([(odd, 0)], mood)
    assert (judged.up if odd > 0 else judged.down).statistic > 0


def test_a_few_odd_texts_in_a_unanimous_stream_are_no_shift():
    records = [(0.95, 1000 * i) for i in range(200)]
    for odd in (100, 101, 140, 180):
        records[odd] = (-0.95, 1000 * odd)
    assert read(records)[1] == []


def test_the_reference_follows_a_slow_drift_without_an_alarm():
    records = [(0.6 - 1.2 * i / 4000 + 0.3 * (-1) ** i, 1000 * i) for i in range(4000)]
    mood, shifts = read(records)
    assert shifts == []
    assert mood.reference_mean < -0.2


def test_a_change_is_dated_on_the_streams_clock_even_if_records_are_late():
    records = turning()
    records[100:] = [(score, time_ms - 50_000) for score, time_ms in records[100:]]
    _, (shift,) = read(records)
    assert shift.since_ms == 99_000


def test_a_shift_empties_the_reference_and_keeps_the_means():
    records = turning()
    number = next(n for n in range(len(records)) if read(records[: n + 1])[1])
    before, after = read(records[:number])[0], read(records[: number + 1])[0]
    assert (after.reference_records, after.up, after.down) == (0, Cusum(), Cusum())
    assert after.num_records == before.num_records + 1
    assert after.score == pytest.approx(before.score, abs=0.05)


@pytest.mark.parametrize("sticky", [0.0, mood_rates.STICKY])
@pytest.mark.parametrize("kind", mood_rates.KINDS)
def test_steady_streams_rarely_alarm_and_turns_are_found_soon(kind, sticky):
    rates = mood_rates.measure(MoodTracker(Settings()), kind, sticky)
    print(rates)
    assert rates.false_alarms_per_10_000 < (1.0 if sticky else 0.1)
    assert rates.found >= 0.95
    assert rates.median_since_error <= 3


@pytest.mark.parametrize(
    ("score", "label"),
    [(-1, "negative"), (-0.34, "negative"), (-0.33, "neutral"), (0, "neutral"), (0.33, "neutral"), (0.34, "positive")],
)
def test_a_level_has_the_label_of_its_third(score, label):
    assert level_label(score) == label
