"""Shifts of a mood: found soon, told once with their evidence, and rare in steady streams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import mood_rates
from tests.unit.state.moods import SCORES, SETTINGS, read, turning
from worker.settings import Settings
from worker.state.mood import METHOD, MIN_REFERENCE_RECORDS, Cusum, MoodTracker


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
