"""The running mood of a stream, and the shifts of that mood. Pure functions: a state goes in, a new state comes out.

The mood is the mean score, and the mean magnitude |score|, of the stream's records, each weighted by
2^-(age / half-life). Age is measured in event time, so the same records give the same mood at any time. The stream's
clock is its latest event time and never goes back; a late record counts with the weight of its age, so the order of
arrival changes the two means only by rounding.

Shifts are found by a two-sided CUSUM (Page, "Continuous inspection schemes", Biometrika 1954) on scores that are
standardised by the stream's own reference mean and variance. Every record updates them after its own test: this is the
self-starting form (Hawkins, "Self-starting cusum charts for location and scale", The Statistician 1987), which needs
no calibration per stream. Three things fit it to bounded, skewed scores: a standardised score is cut at
`MAX_DEVIATION`, so that a few odd texts alone never make a shift (the robust CUSUM of Lucas and Crosier, 1982); the
deviation has a floor, so that a unanimous stream does not alarm at a negligible change; and the reference forgets
(`MAX_REFERENCE_RECORDS`), so that it follows a slow drift without an alarm. After a shift the reference is empty
again. The detector reads scores in order of arrival, which is the order of the log.

False alarms and delays: `python -m tests.mood_rates`.
"""

from __future__ import annotations

from math import exp2, inf, sqrt
from struct import Struct as Layout
from struct import error as LayoutError  # noqa: N812 - it is a class
from typing import Final

import msgspec
from msgspec import Struct

from model import LABELS, StateError
from worker.settings import Settings

METHOD: Final = "self_starting_cusum"
MIN_REFERENCE_RECORDS: Final = 20  # no test until the reference has this many records
MAX_REFERENCE_RECORDS: Final = 200  # from here on the reference forgets: each new record weighs 1/200
MIN_DEVIATION: Final = 0.25  # floor of the standard deviation, in scores
MAX_DEVIATION: Final = 2.5  # a single score counts for at most this many standard deviations

_SCORE_BOUND: Final = 1.0 + 1e-9  # of means and sums of scores, which rounding may carry past 1

_VERSION: Final = 2
_MEANS: Final = Layout("<5d")  # score, magnitude, weight, reference mean and variance
_SIDE: Final = Layout("<3d")  # statistic, score sum, before
_INTEGERS: Final = msgspec.msgpack.Decoder(list[int])
_OLD_VERSION: Final = 1
_OLD_LAYOUT: Final = Layout("<B 3d Qq I2d dQdqd dQdqd")  # version, then the fields of mood and sides in order


class Cusum(Struct, frozen=True, gc=False):
    """One side of the test. All fields are zero while the statistic is; else they describe the records since then."""

    statistic: float = 0.0
    num_records: int = 0
    score_sum: float = 0.0
    since_ms: int = 0
    before: float = 0.0  # the reference mean when the statistic left zero


_AT_REST: Final = Cusum()


class MoodState(Struct, frozen=True, gc=False):
    """A stream's mood, of bounded size; it depends on the stream's records alone.

    `weight` is the sum of the records' weights as of `time_ms`, the stream's clock.
    """

    score: float
    magnitude: float
    weight: float
    num_records: int
    time_ms: int
    reference_records: int = 0
    reference_mean: float = 0.0
    reference_variance: float = 0.0
    up: Cusum = _AT_REST
    down: Cusum = _AT_REST

    def to_bytes(self, origin_ms: int = 0) -> bytes:
        """Encode for `from_bytes` with the same `origin_ms`; the closer it is to the clock, the fewer bytes.

        A version byte, the number of bytes of the integers, the integers as a MessagePack array, the floats, little
        endian. A side at rest is a zero among the integers and has no floats.
        """
        # A full reference, which most have, is a zero: one byte less.
        integers = [self.num_records, origin_ms - self.time_ms, MAX_REFERENCE_RECORDS - self.reference_records]
        floats = _MEANS.pack(self.score, self.magnitude, self.weight, self.reference_mean, self.reference_variance)
        for side in (self.up, self.down):
            integers.append(side.num_records)
            if side.num_records:
                integers.append(origin_ms - side.since_ms)
                floats += _SIDE.pack(side.statistic, side.score_sum, side.before)
        packed = msgspec.msgpack.encode(integers)
        return bytes((_VERSION, len(packed))) + packed + floats

    @classmethod
    def from_bytes(cls, data: bytes, origin_ms: int = 0) -> MoodState:
        """Decode the bytes of `to_bytes`, and of version 1. Raises StateError when their version or size is wrong."""
        if data[:1] == bytes([_OLD_VERSION]):
            return cls._from_old_bytes(data)
        if data[:1] != bytes([_VERSION]):
            raise StateError(f"mood state: version {data[:1].hex() or 'missing'}, this is version {_VERSION:02x}")
        try:
            begin = 2 + data[1]
            num_records, age_ms, num_lacking, *of_sides = _INTEGERS.decode(data[2:begin])
            score, magnitude, weight, mean, variance = _MEANS.unpack_from(data, begin)
            sides, end = [], begin + _MEANS.size
            for _ in range(2):
                side, end = _decode_side(data, end, of_sides, origin_ms)
                sides.append(side)
        except (msgspec.DecodeError, IndexError, ValueError, LayoutError) as error:
            raise StateError(f"mood state: {len(data)} bytes, truncated or altered") from error
        if len(data) != end or of_sides:
            raise StateError(f"mood state: {len(data)} bytes, its own lengths say {end}")
        reference = (MAX_REFERENCE_RECORDS - num_lacking, mean, variance)
        return cls(score, magnitude, weight, num_records, origin_ms - age_ms, *reference, *sides)._checked()

    @classmethod
    def _from_old_bytes(cls, data: bytes) -> MoodState:
        if len(data) != _OLD_LAYOUT.size:
            raise StateError(f"mood state: {len(data)} bytes, version {_OLD_VERSION} has {_OLD_LAYOUT.size}")
        _, *fields = _OLD_LAYOUT.unpack(data)
        sides = [Cusum(*fields[8:13]), Cusum(*fields[13:])]
        return cls(*fields[:8], *sides)._checked()

    def _checked(self) -> MoodState:
        """The state itself. Raises StateError for numbers that no records give: NaN, and what is out of bounds."""
        means = (self.score, self.reference_mean, *(side.before for side in (self.up, self.down)))
        unsigned = (self.weight, self.reference_variance, self.up.statistic, self.down.statistic)
        counts = (self.num_records, self.reference_records, self.up.num_records, self.down.num_records)
        is_possible = (
            all(-_SCORE_BOUND <= mean <= _SCORE_BOUND for mean in means)
            and 0.0 <= self.magnitude <= _SCORE_BOUND
            and all(0.0 <= number < inf for number in unsigned)
            and all(count >= 0 for count in counts)
            and self.reference_records <= MAX_REFERENCE_RECORDS
            and all(abs(side.score_sum) <= _SCORE_BOUND * side.num_records for side in (self.up, self.down))
        )
        if not is_possible:
            raise StateError("mood state: its numbers are none that records give")
        return self


def _decode_side(data: bytes, at: int, integers: list[int], origin_ms: int) -> tuple[Cusum, int]:
    """A side whose floats begin at `at`, and where they end; takes its own from the front of `integers`."""
    num_records = integers.pop(0)
    if not num_records:
        return _AT_REST, at
    since_ms = origin_ms - integers.pop(0)
    statistic, score_sum, before = _SIDE.unpack_from(data, at)
    return Cusum(statistic, num_records, score_sum, since_ms, before), at + _SIDE.size


class Shift(Struct, frozen=True, gc=False):
    """A turn of the mood: the mean scores before and after, when it began, and why it was reported.

    `since_ms` is Page's estimate of the change: the stream's clock at the first record after the statistic was last
    zero. `to_score` is the mean of the `num_records` scores from that record on.
    """

    from_score: float
    to_score: float
    since_ms: int
    statistic: float
    threshold: float
    num_records: int
    method: str = METHOD


class MoodTracker:
    """Updates moods, one record at a time. It holds settings only, so equal inputs give bit-identical states."""

    def __init__(self, settings: Settings) -> None:
        self._half_life_ms = settings.mood_half_life_s * 1000
        self._ttl_ms = settings.state_ttl_s * 1000
        self._threshold = settings.shift_threshold
        self._drift = settings.shift_drift

    def is_expired(self, mood: MoodState, time_ms: int) -> bool:
        """Whether the stream was silent for longer than `state_ttl_s` before a record of `time_ms`."""
        return time_ms - mood.time_ms > self._ttl_ms

    def update(self, mood: MoodState | None, score: float, time_ms: int) -> tuple[MoodState, Shift | None]:
        """The mood after a record with this score (-1..1) and event time, and the shift that it revealed, if any.

        `mood` is None for the stream's first record. Raises ValueError when the score is not in -1..1.
        """
        if not -1.0 <= score <= 1.0:
            raise ValueError(f"score {score} is not in -1..1")
        if mood is None:
            mood = MoodState(0.0, 0.0, 0.0, 0, time_ms)
        clock_ms, kept, own = self._weigh(mood, time_ms)
        # Computed this way the means stay in bounds: rounding is monotone, so |kept * m + own * s| <= weight.
        weight = kept + own
        mean = (kept * mood.score + own * score) / weight
        magnitude = (kept * mood.magnitude + own * abs(score)) / weight
        up, down, shift = self._detect(mood, score, clock_ms)
        reference = (0, 0.0, 0.0) if shift else _learn(mood, score)
        return MoodState(mean, magnitude, weight, mood.num_records + 1, clock_ms, *reference, up, down), shift

    def _weigh(self, mood: MoodState, time_ms: int) -> tuple[int, float, float]:
        """The stream's clock, and the weights at that time of the earlier records and of one at `time_ms`."""
        elapsed_ms = time_ms - mood.time_ms
        if elapsed_ms >= 0:
            return time_ms, mood.weight * exp2(-elapsed_ms / self._half_life_ms), 1.0
        return mood.time_ms, mood.weight, exp2(elapsed_ms / self._half_life_ms)

    def _detect(self, mood: MoodState, score: float, clock_ms: int) -> tuple[Cusum, Cusum, Shift | None]:
        if mood.reference_records < MIN_REFERENCE_RECORDS:
            return _AT_REST, _AT_REST, None
        mean = mood.reference_mean
        deviation = (score - mean) / max(sqrt(mood.reference_variance), MIN_DEVIATION)
        deviation = min(max(deviation, -MAX_DEVIATION), MAX_DEVIATION)
        up = _accumulate(mood.up, deviation - self._drift, score, clock_ms, mean)
        down = _accumulate(mood.down, -deviation - self._drift, score, clock_ms, mean)
        side = up if up.statistic > down.statistic else down
        if side.statistic <= self._threshold:
            return up, down, None
        after = side.score_sum / side.num_records
        shift = Shift(side.before, after, side.since_ms, side.statistic, self._threshold, side.num_records)
        return _AT_REST, _AT_REST, shift


def level_label(score: float) -> str:
    """The label of a mean score, by thirds of -1..1."""
    return LABELS[(score >= -1 / 3) + (score > 1 / 3)]


def _accumulate(side: Cusum, increment: float, score: float, clock_ms: int, reference_mean: float) -> Cusum:
    statistic = side.statistic + increment
    if statistic <= 0.0:
        return _AT_REST
    if not side.num_records:
        return Cusum(statistic, 1, score, clock_ms, reference_mean)
    return Cusum(statistic, side.num_records + 1, side.score_sum + score, side.since_ms, side.before)


def _learn(mood: MoodState, score: float) -> tuple[int, float, float]:
    """Update the reference's records, mean and variance: exactly at first (Welford 1962), then with forgetting."""
    num_records = min(mood.reference_records + 1, MAX_REFERENCE_RECORDS)
    distance = score - mood.reference_mean
    step = distance / num_records
    variance = (mood.reference_variance + distance * step) * (1 - 1 / num_records)
    return num_records, mood.reference_mean + step, variance
