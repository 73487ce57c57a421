"""Times in rounds: every contestant once, then all again, so that what slows the machine slows all of them.

The time is the processor's for this process, not the clock's, and of several rounds the best counts: a machine that
others use as well moves it little. What a contestant costs is the same in every round.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence


def best_seconds(runs: Sequence[Callable[[], object]], num_rounds: int) -> list[float]:
    """Processor time of the fastest round of each, after one that does not count."""
    for run in runs:
        run()
    rounds = [[cpu_seconds(run) for run in runs] for _ in range(num_rounds)]
    return [min(seconds) for seconds in zip(*rounds, strict=True)]


def cpu_seconds(run: Callable[[], object]) -> float:
    """Processor time that one call takes."""
    started = time.process_time()
    run()
    return time.process_time() - started
