"""How often the shift detector alarms on steady streams, and how soon it finds a turn: `python -m tests.mood_rates`.

Scores are drawn as a three-class network gives them: near -0.8, 0 or 0.8, and bounded. A sticky stream repeats the
class of the previous record with probability 0.3, as replies to each other do. Every number follows from the seeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from worker.settings import load_settings
from worker.state.mood import MoodState, MoodTracker, Shift

NUM_STREAMS = 200
NUM_STEADY_RECORDS = 1000
MAX_DELAY = 60  # a turn should be found within this many records
STICKY = 0.3

CENTRES = (-0.8, 0.0, 0.8)
Shares = tuple[float, float, float]  # the shares of negative, neutral and positive scores

# The shares before and after a turn of the mean by 0.8.
KINDS: dict[str, tuple[Shares, Shares]] = {
    "loved": ((0.03, 0.10, 0.87), (0.48, 0.20, 0.32)),
    "pleased": ((0.15, 0.25, 0.60), (0.65, 0.25, 0.10)),
    "mixed": ((0.35, 0.30, 0.35), (1.00, 0.00, 0.00)),
    "quiet": ((0.05, 0.90, 0.05), (0.00, 0.00, 1.00)),
    "annoyed": ((0.60, 0.25, 0.15), (0.10, 0.25, 0.65)),
}


class Rates(NamedTuple):
    """The rates of one kind of stream. A delay is in records, and infinite when the turn was not found."""

    kind: str
    sticky: float
    false_alarms_per_10_000: float
    found: float  # share of the turns found within MAX_DELAY
    median_delay: float
    median_since_error: float  # records between the true change and the one that the shift names


def scores(random: Random, shares: Shares, num_records: int, sticky: float = 0.0) -> Iterator[float]:
    """The scores of one stream in one mood."""
    centre = None
    for _ in range(num_records):
        if centre is None or random.random() >= sticky:
            drawn = random.random()
            centre = CENTRES[(drawn >= shares[0]) + (drawn >= shares[0] + shares[1])]
        yield centre + 0.2 * (random.random() - random.random())


def measure(tracker: MoodTracker, kind: str, sticky: float) -> Rates:
    """The rates of one kind of stream over NUM_STREAMS seeds."""
    before, after = KINDS[kind]
    alarms = 0
    delays, errors = [], []
    for seed in range(NUM_STREAMS):
        random = Random(f"steady {kind} {seed}")
        alarms += len(shifts(tracker, scores(random, before, NUM_STEADY_RECORDS, sticky)))
        random = Random(f"turn {kind} {seed}")
        num_before = random.randrange(60, 500)
        steady = list(scores(random, before, num_before, sticky))
        turned = list(scores(random, after, MAX_DELAY, sticky))
        found = [(at, shift) for at, shift in shifts(tracker, steady + turned) if at >= num_before]
        delays.append(found[0][0] - num_before + 1 if found else float("inf"))
        errors.append(abs(found[0][1].since_ms / 1000 - num_before) if found else float("inf"))
    return Rates(
        kind,
        sticky,
        alarms / (NUM_STREAMS * NUM_STEADY_RECORDS) * 10_000,
        sum(delay <= MAX_DELAY for delay in delays) / NUM_STREAMS,
        sorted(delays)[NUM_STREAMS // 2],
        sorted(errors)[NUM_STREAMS // 2],
    )


def shifts(tracker: MoodTracker, of: Iterator[float] | list[float]) -> list[tuple[int, Shift]]:
    """The shifts in scores one second apart, each with the number of its record."""
    mood: MoodState | None = None
    found = []
    for at, score in enumerate(of):
        mood, shift = tracker.update(mood, score, at * 1000)
        if shift:
            found.append((at, shift))
    return found


def main() -> None:
    """Print the rates as a Markdown table."""
    settings = load_settings()
    tracker = MoodTracker(settings)
    print(f"threshold {settings.shift_threshold:g}, drift {settings.shift_drift:g};", end=" ")
    print(f"{NUM_STREAMS} streams of {NUM_STEADY_RECORDS} records a row; turns of the mean by 0.8\n")
    print("| stream | sticky | false alarms per 10,000 | turns found in 60 | median delay | median error of `since` |")
    print("|---|---|---|---|---|---|")
    for sticky in (0.0, STICKY):
        for kind in KINDS:
            row = measure(tracker, kind, sticky)
            print(
                f"| {row.kind} | {row.sticky:g} | {row.false_alarms_per_10_000:.2f} | {row.found:.0%} "
                f"| {row.median_delay:g} | {row.median_since_error:g} |"
            )


if __name__ == "__main__":
    main()
