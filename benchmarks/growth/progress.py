"""How workers get on with a known number of records: their count on /metrics, and their CPU time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.pipeline.probes.proc import cpu_s
from tests.system.worker_process import WorkerProcess

SAMPLE_S = 0.25
TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Sample:
    """The records that all workers have counted at a time, and the CPU seconds that they have used."""

    at_s: float
    num_records: float
    cpu_s: float

    @classmethod
    def now(cls, workers: Sequence[WorkerProcess], num_records: float) -> Sample:
        """Of workers that have counted `num_records`."""
        return cls(time.monotonic(), num_records, sum(cpu_s(worker.pid) for worker in workers))


@dataclass(frozen=True)
class Progress:
    """Rate and CPU time a record."""

    records_per_s: float
    cpu_us: float


def watch(workers: Sequence[WorkerProcess], counter: str, num_records: int) -> list[Sample]:
    """Samples until the workers' counters `sentiment_<counter>` are `num_records` together.

    Raises AssertionError, with the end of the first worker's log, if they take too long.
    """
    samples = [_sample(workers, counter)]
    deadline = time.monotonic() + TIMEOUT_S
    while samples[-1].num_records < num_records:
        assert time.monotonic() < deadline, f"{counter} is {samples[-1].num_records}\n{workers[0].tail()}"
        time.sleep(SAMPLE_S)
        samples.append(_sample(workers, counter))
    return samples


def progress(samples: Sequence[Sample], first_share: float = 0.0) -> Progress:
    """From the first sample with `first_share` of the records to the first with all of them."""
    begin, end = samples[0].num_records, samples[-1].num_records
    first = next(each for each in samples if each.num_records - begin >= first_share * (end - begin))
    last = next(each for each in samples if each.num_records == end)
    num_records = last.num_records - first.num_records
    return Progress(num_records / (last.at_s - first.at_s), 1e6 * (last.cpu_s - first.cpu_s) / num_records)


def _sample(workers: Sequence[WorkerProcess], counter: str) -> Sample:
    num_records = sum(worker.metric(counter) for worker in workers)
    return Sample.now(workers, num_records)
