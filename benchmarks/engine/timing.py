"""Time measurements on one thread, in which all contestants take turns, so that other load slows all of them alike.

Rounds are timed by the processor time of this process rather than by the clock, and the best round counts, so that
other users of the machine change the figures little. Latencies are timed by the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from model.inference.state import DoubleArray

Run = Callable[[], object]
_WARM_UP_CALLS = 10


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep numpy, torch and OpenMP on one thread. ONNX Runtime takes its number of threads as a session option."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(num_threads)


def best_seconds(runs: Sequence[Run], num_rounds: int) -> list[float]:
    """Processor time of each run in its fastest round, after a round that does not count."""
    for run in runs:
        run()
    rounds = [[cpu_seconds(run) for run in runs] for _ in range(num_rounds)]
    return [min(seconds) for seconds in zip(*rounds, strict=True)]


def cpu_seconds(run: Run) -> float:
    """Processor time of one call."""
    started = time.process_time()
    run()
    return time.process_time() - started


def call_times_ms(runs: Sequence[Run], num_calls: int) -> DoubleArray:
    """Times by the clock, (runs, num_calls), of calls in turn, after _WARM_UP_CALLS of each that do not count."""
    times_ms = np.empty((len(runs), _WARM_UP_CALLS + num_calls))
    for turn in range(times_ms.shape[1]):
        for number, run in enumerate(runs):
            started = time.perf_counter()
            run()
            times_ms[number, turn] = 1000 * (time.perf_counter() - started)
    return times_ms[:, _WARM_UP_CALLS:]
