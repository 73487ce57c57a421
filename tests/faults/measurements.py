"""What a run tells beside its verdict: recovery times, refused zombies, replayed records, restarts."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests import kafka_tools
from tests.system.worker_process import WorkerProcess
from tests.workplace import Workplace

Partition = tuple[str, int]  # topic, partition


@dataclass
class Injection:
    """A fault at `time_s` (seconds since 1970); from `silent_s` on, its victim can publish nothing more."""

    time_s: float
    victim: str | None = None
    silent_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.silent_s = self.time_s

    def silence(self) -> None:
        """Note that the victim is dead or suspended by now."""
        self.silent_s = time.time()


class ReplayCounter:
    """Adds up the replayed records over the processes of all workers, as far as they lived to tell."""

    def __init__(self) -> None:
        self._of_process: dict[tuple[str, int], int] = {}

    def sample(self, worker: WorkerProcess) -> None:
        """Ask a worker, if it answers."""
        if worker.running and not worker.stopped:
            try:
                self._of_process[worker.name, worker.num_starts] = int(worker.metric("rebuilt_records_total"))
            except OSError:
                return

    @property
    def total(self) -> int:
        """The records that were applied to states without being published."""
        return sum(self._of_process.values())


def log_lines(worker: WorkerProcess) -> Iterator[dict[str, Any]]:
    """The JSON lines of the worker's log; other output, such as that of the interpreter, is left out."""
    for line in worker.output().splitlines() if worker.log.exists() else ():
        try:
            parsed = json.loads(line)
        except ValueError:
            continue
        if isinstance(parsed, dict) and "time" in parsed:
            yield parsed


def num_fenced(workers: Iterable[WorkerProcess]) -> int:
    """How often a worker tried to write to a partition that it had lost, and was refused."""
    return sum(line.get("action") == "fenced" for worker in workers for line in log_lines(worker))


def recovery_times(
    workplace: Workplace, workers: Iterable[WorkerProcess], injections: Iterable[Injection]
) -> list[float]:
    """Seconds from each fault to the next event, for each partition that the victim owned.

    A fault that the next events do not answer, because no more records came, gives no time.
    """
    injections = list(injections)
    if not injections:
        return []
    takeovers = sorted(_takeovers(workers))
    events = _event_times(workplace)
    times = []
    for injection in injections:
        owners = {partition: name for time_s, name, partition in takeovers if time_s < injection.time_s}
        for partition in (place for place, name in owners.items() if name == injection.victim):
            later = [time_s for time_s in events.get(partition, ()) if time_s > injection.silent_s]
            if later:
                times.append(round(min(later) - injection.time_s, 3))
    return times


def _takeovers(workers: Iterable[WorkerProcess]) -> Iterator[tuple[float, str, Partition]]:
    for worker in workers:
        for line in log_lines(worker):
            if line.get("action") == "take_over":
                yield _seconds(line["time"]), worker.name, (line["topic"], line["partition"])


def _seconds(rfc3339: str) -> float:
    return datetime.fromisoformat(rfc3339).timestamp()


def _event_times(workplace: Workplace) -> dict[Partition, list[float]]:
    """When the events of each input partition were written, in seconds since 1970."""
    settings = workplace.settings
    times: dict[Partition, list[float]] = {}
    for record in kafka_tools.read_to_end(settings.kafka, settings.events_topic):
        source = json.loads(record.value)["source"]
        times.setdefault((source["topic"], source["partition"]), []).append(record.timestamp / 1000)
    return times
