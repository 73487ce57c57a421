"""The running mood: means weighted by age, the same from any stored state, until the stream expires."""

from math import exp2, inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.state.moods import DAY_MS, HOUR_MS, RECORDS, TRACKER, read, turning
from worker.state.mood import MoodState, level_label


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


@pytest.mark.parametrize(
    ("score", "label"),
    [(-1, "negative"), (-0.34, "negative"), (-0.33, "neutral"), (0, "neutral"), (0.33, "neutral"), (0.34, "positive")],
)
def test_a_level_has_the_label_of_its_third(score, label):
    assert level_label(score) == label
