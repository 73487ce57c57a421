"""Measurements in other processes: two at once against one, and the start of a fresh one (`fresh.py`).

The two at once run this module, which reads the batches for every line of input and prints the times:

    python -m benchmarks.engine.measurements.processes CELLS VOCABULARY BATCH NUM_BATCHES
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

from benchmarks.engine.contestants.contestant import ours
from benchmarks.engine.contestants.work import Work, random_tweets, random_weights
from benchmarks.engine.figures import Bar, BenchRow
from model.config import ModelConfig
from model.errors import ModelError
from model.inference.kernels.recurrence import CPU_PRECISIONS

TWO_AGAINST_ONE = Bar(1.95)
START_S = Bar(2.0, is_least=False)
RESIDENT_MB = Bar(400.0, is_least=False)

_TIMEOUT_S = 300.0
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

Took = dict[str, float]  # clock_s and cpu_s of a round


def measure_processes(
    hidden_size: int, arguments: Sequence[int], num_rounds: int, on_progress: Callable[[str], None]
) -> BenchRow:
    """Two processes on two cores against one. arguments: VOCABULARY, BATCH and NUM_BATCHES of this module's command.

    Raises ModelError if a process fails or hangs.
    """
    on_progress(f"{hidden_size} cells: two processes")
    with ExitStack() as stack:
        children = [
            stack.enter_context(_python("benchmarks.engine.measurements.processes", hidden_size, *arguments))
            for _ in range(2)
        ]
        for child in children:
            _expect(child)
        rounds = [(_read_at_once(children[:1]), _read_at_once(children)) for _ in range(num_rounds)]
    return two_processes_row(hidden_size, rounds)


def two_processes_row(hidden_size: int, rounds: Sequence[tuple[list[Took], list[Took]]]) -> BenchRow:
    """The row that follows from rounds (one process alone, both at once).

    A round of both ends with the slower process, and the best rounds count.
    """

    def scaling(unit: str) -> float:
        one, two = (min(max(took[unit] for took in each) for each in kind) for kind in zip(*rounds, strict=True))
        return float(2 * one / two)

    return BenchRow(
        name="two processes on two cores against one",
        value=scaling("clock_s"),
        unit="x",
        hidden_size=hidden_size,
        bar=TWO_AGAINST_ONE,
        note=f"by the clock, which others who use the machine slow; by processor time {scaling('cpu_s'):.2f}x",
    )


def measure_start(
    checkpoint: Path, num_chars: int, num_rounds: int, on_progress: Callable[[str], None]
) -> list[BenchRow]:
    """The time from the launch of a process to its first result, its memory then, and the memory of the largest batch.

    Raises ModelError if a process fails or hangs.
    """
    on_progress("start and memory")
    starts = []
    for _ in range(num_rounds):
        launched = time.perf_counter()
        with _python("benchmarks.engine.measurements.fresh", checkpoint, num_chars) as child:
            started = json.loads(_expect(child))
            starts.append((time.perf_counter() - launched, started["cpu_s"]))
            at_bound = json.loads(_expect(child))
    clock_s, cpu_s = map(min, zip(*starts, strict=True))
    grown_bytes = max(at_bound["peak_bytes"] - started["resident_bytes"], 0)
    return [
        BenchRow(
            name="start: import, load, fold, first text",
            value=cpu_s,
            unit="s",
            bar=START_S,
            note=f"processor time of the fastest of {num_rounds}; by the clock {clock_s:.2f} s",
        ),
        BenchRow(
            name="memory after the start",
            value=started["resident_bytes"] / 1e6,
            unit="MB",
            bar=RESIDENT_MB,
            note=f"at its peak {started['peak_bytes'] / 1e6:,.0f} MB, while weights are folded",
        ),
        BenchRow(
            name="memory that a batch at its bound adds",
            value=grown_bytes / 1e6,
            unit="MB",
            note=f"{num_chars:,} characters, each a token",
        ),
    ]


@contextmanager
def _python(module: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process that is killed after _TIMEOUT_S, and at the latest at the end of the block."""
    child = subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | _ONE_THREAD,
        text=True,
    )
    watch = Timer(_TIMEOUT_S, child.kill)
    watch.start()
    try:
        yield child
    finally:
        watch.cancel()
        child.kill()
        child.communicate()


def _read_at_once(children: Sequence[subprocess.Popen[str]]) -> list[Took]:
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    return [json.loads(_expect(child)) for child in children]


def _expect(child: subprocess.Popen[str]) -> Any:
    """The next line of its output. Raises ModelError if it has ended."""
    assert child.stdout is not None
    if line := child.stdout.readline():
        return line
    raise ModelError(f"{child.args!r} ended with {child.wait()}, or was killed after {_TIMEOUT_S:.0f} s")


def main() -> None:
    """Read the batches once, print `ready`, then read them for every line of input, and print the times."""
    hidden_size, vocabulary, batch, num_batches = map(int, sys.argv[1:])
    config = ModelConfig(num_words=vocabulary, num_buckets=1, embedding_size=hidden_size, hidden_size=hidden_size)
    texts = random_tweets(batch * num_batches, vocabulary)
    contestant, _ = ours(Work(config, random_weights(config), texts, batch), CPU_PRECISIONS[0])
    contestant.read()
    print("ready", flush=True)
    for _ in sys.stdin:
        started, cpu_started = time.perf_counter(), time.process_time()
        contestant.read()
        took = {"clock_s": time.perf_counter() - started, "cpu_s": time.process_time() - cpu_started}
        print(json.dumps(took), flush=True)


if __name__ == "__main__":
    main()
