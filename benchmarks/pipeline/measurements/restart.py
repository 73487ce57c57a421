"""How long partitions give no event while the workers of a group are restarted one by one.

Two workers, static members of the group as the Helm chart runs them, share the partitions while records flow. The pause
of a partition is the longest time between two of its events during a restart:

- stopped, then started: SIGTERM, which drains; then a new process of the same instance, as for a pod
- started beside: a new process of the same instance while the old one runs, whose place it takes; the old one ends
- no restart: for as long as a quiet time; what the gaps between events are anyway
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import replace

from benchmarks.pipeline.bench import Bench
from benchmarks.pipeline.measurements.takeover import NUM_WORKERS, TIMEOUT_S, settle
from benchmarks.pipeline.pauses import COLUMNS, longest_gaps_s, pause_row
from benchmarks.pipeline.programs import OURS, ProgramProcess
from benchmarks.pipeline.report import Report
from benchmarks.pipeline.traffic import Traffic
from worker.errors import EXIT_FAILED, EXIT_OK

QUIET_S = 5.0
NO_RESTART = "no restart"

Restart = Callable[["_Workers", int], Awaitable[None]]


class _Workers:
    """Static members; each has a number, which names its instance."""

    def __init__(self, bench: Bench, ended: ExitStack) -> None:
        self.workplace = bench.workplace(bench.amounts.partitions)
        ended.callback(self.workplace.delete_topics)
        self._bench, self._ended = bench, ended
        self._num_started = 0
        self.running: dict[int, ProgramProcess] = {}

    async def start(self, number: int) -> None:
        """Start a process of an instance, and wait until it is ready."""
        workplace = replace(self.workplace, flags=self.workplace.flags | {"instance_id": f"worker-{number}"})
        self._num_started += 1
        worker = self._bench.worker(OURS, workplace, suffix=f"-{self._num_started}")
        self._ended.callback(worker.kill)
        self.running[number] = worker
        await asyncio.to_thread(worker.start)


async def _stopped_then_started(workers: _Workers, number: int) -> None:
    old = workers.running[number]
    code = await asyncio.to_thread(old.terminate)
    assert code == EXIT_OK, old.tail()
    await workers.start(number)


async def _started_beside(workers: _Workers, number: int) -> None:
    old = workers.running[number]
    await workers.start(number)
    code = await asyncio.to_thread(old.wait_for_end)
    assert code == EXIT_FAILED, old.tail()


RESTARTS: dict[str, Restart] = {
    "stopped, then started": _stopped_then_started,
    "started beside the old one": _started_beside,
}


def measure_restart(bench: Bench) -> Report:
    """Two rows for each kind of restart, of the restarted worker's partitions and of the other's, and one for none."""
    amounts = bench.amounts
    title = f"restart: {amounts.rate:g} records/s, {amounts.partitions} partitions, {NUM_WORKERS} static members"
    report = Report(title, COLUMNS, [])
    pauses = asyncio.run(_restart_again_and_again(bench, report.problems))
    report.rows = [pause_row(name, found) for name, found in pauses.items()]
    report.notes.append("a pause: the longest time between two events of a partition; the arrival at a consumer counts")
    return report


async def _restart_again_and_again(bench: Bench, problems: list[str]) -> dict[str, list[float]]:
    """The pauses by the names of the rows. Problems are appended to `problems`."""
    pauses: dict[str, list[float]] = defaultdict(list)
    is_over = False
    with ExitStack() as ended:
        workers = _Workers(bench, ended)
        for number in range(NUM_WORKERS):
            await workers.start(number)
        async with Traffic(workers.workplace, bench.amounts.streams, bench.amounts.rate) as traffic:
            sending = asyncio.create_task(traffic.send(lambda: is_over))
            for _ in range(bench.amounts.restarts):
                for name, restart in RESTARTS.items():
                    for number in range(NUM_WORKERS):
                        await _restart(name, restart, workers, number, traffic, pauses)
            is_over = True
            await sending
            await traffic.wait_for(lambda: traffic.num_outstanding <= 0, TIMEOUT_S, "an event for each record")
        for worker in workers.running.values():
            await asyncio.to_thread(worker.terminate)
    if problem := traffic.problem():
        problems.append(problem)
    return pauses


async def _restart(  # noqa: PLR0913, PLR0917 - what is done, to whom, and what is noted
    name: str, restart: Restart, workers: _Workers, number: int, traffic: Traffic, pauses: dict[str, list[float]]
) -> None:
    """Restart a worker once all are settled, and note the pauses up to an event of each of its partitions."""
    others = [worker for other, worker in workers.running.items() if other != number]
    partitions = await settle([workers.running[number], *others], traffic, workers.workplace)
    quiet_s = time.time()
    await asyncio.sleep(QUIET_S)
    began_s = time.time()
    await restart(workers, number)
    done_s = time.time()

    def has_all() -> bool:
        return {arrival.partition for arrival in traffic.since(done_s)} >= partitions

    await traffic.wait_for(has_all, TIMEOUT_S, "events of the restarted worker's partitions")
    pauses[NO_RESTART] += longest_gaps_s(traffic.arrivals, quiet_s, began_s - 1).values()
    for partition, gap_s in longest_gaps_s(traffic.arrivals, began_s, done_s).items():
        pauses[f"{name}: {'its partitions' if partition in partitions else 'those of the other'}"].append(gap_s)
