"""Moods that come of records, and streams whose mean score turns."""

from collections.abc import Iterable

from hypothesis import strategies as st

from worker.settings import load_settings
from worker.state.mood import MoodState, MoodTracker, Shift

Record = tuple[float, int]  # its score and its time in ms
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
SETTINGS = load_settings(mood_half_life_s=3600, state_ttl_s=86_400)
TRACKER = MoodTracker(SETTINGS)

SCORES = st.floats(-1, 1)
TIMES = st.integers(0, 10 * DAY_MS)
RECORDS = st.lists(st.tuples(SCORES, TIMES), min_size=1, max_size=80)


def read(
    records: Iterable[Record], mood: MoodState | None = None, tracker: MoodTracker = TRACKER
) -> tuple[MoodState | None, list[Shift]]:
    """The mood after the records, and the shifts that they revealed."""
    found: list[Shift] = []
    for score, time_ms in records:
        mood, shift = tracker.update(mood, score, time_ms)
        if shift:
            found.append(shift)
    return mood, found


def turning(num_before: int = 100, num_after: int = 60, before: float = 0.5, after: float = -0.5) -> list[Record]:
    """A stream with one record a second whose mean score changes once, from `before` to `after`."""
    scores = [before + 0.1 * (-1) ** i for i in range(num_before)] + [after + 0.1 * (-1) ** i for i in range(num_after)]
    return [(score, 1000 * i) for i, score in enumerate(scores)]
