"""How soon the partitions of a worker that is killed in the middle of a commit give events again.

Two workers, dynamic members of one group, share the partitions while records flow. One is stopped again and again until
it has a transaction open, then killed (SIGKILL); a new one replaces it. For each kill:

- detected: the group's coordinator has expelled the dead member, and the group is no longer stable
- assigned: the group is stable again, with the survivor alone
- first event, all partitions: an event of the killed worker's partitions has arrived, and one of each of them

The survivor hears of the rebalance with its next heartbeat, which is most of the time from detected to assigned.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.pipeline.bench import Bench
from benchmarks.pipeline.probes.coordinator import Coordinator
from benchmarks.pipeline.probes.metrics import owned_partitions
from benchmarks.pipeline.programs import OURS, Program, ProgramProcess
from benchmarks.pipeline.report import Column, Report
from benchmarks.pipeline.traffic import Traffic
from tests.workplace import Workplace

NUM_WORKERS = 2
TIMEOUT_S = 120.0
MAX_STOPS = 200  # of the search for an open transaction
MAX_PAUSE_S = 0.1  # between stops, drawn at random
SETTLED_S = 0.5  # outstanding records at most, in seconds of the rate

SPANS = {
    "detected": "kill to detected",
    "assigned": "kill to assigned",
    "first": "kill to first event",
    "detected_to_first": "detected to first event",
    "detected_to_all": "detected to all partitions",
    "assigned_to_first": "assigned to first event",
    "assigned_to_all": "assigned to all partitions",
}
COLUMNS = (
    Column("kills", "kills"),
    Column("kills_mid_commit", "mid-commit"),
    Column("p50_s", "p50 s", "{:.2f}"),
    Column("p99_s", "p99", "{:.2f}"),
    Column("max_s", "max", "{:.2f}"),
)


@dataclass(frozen=True)
class Kill:
    """Wall-clock times of a kill and of what followed."""

    killed_s: float
    detected_s: float
    assigned_s: float
    first_s: float
    all_s: float
    is_mid_commit: bool

    def spans_s(self) -> dict[str, float]:
        """Seconds by the keys of SPANS."""
        return {
            "detected": self.detected_s - self.killed_s,
            "assigned": self.assigned_s - self.killed_s,
            "first": self.first_s - self.killed_s,
            "detected_to_first": self.first_s - self.detected_s,
            "detected_to_all": self.all_s - self.detected_s,
            "assigned_to_first": self.first_s - self.assigned_s,
            "assigned_to_all": self.all_s - self.assigned_s,
        }


def measure_takeover(bench: Bench) -> Report:
    """A row for each span of time, of our worker and of the one before."""
    amounts = bench.amounts
    report = Report(f"takeover: {amounts.rate:g} records/s, {amounts.partitions} partitions, kill -9", COLUMNS, [])
    rows = {}
    for program in bench.workers:
        kills = asyncio.run(kill_again_and_again(bench, program, bench.workplace(amounts.partitions), report.problems))
        rows[program.name] = span_rows(program.name, kills)
    report.rows = [row for of_program in reversed(rows.values()) for row in of_program]
    if bench.before:
        for heading, ours, before in zip(SPANS.values(), rows[OURS.name], rows[bench.before.name], strict=True):
            report.add_ratio(f"ours / before: {heading}", ours, before, ("p50_s", "p99_s", "max_s"))
    report.notes.append(
        "detected: the coordinator has expelled the dead worker; assigned: the group is stable with the survivor alone"
    )
    return report


def span_rows(name: str, kills: Sequence[Kill]) -> list[dict[str, Any]]:
    """A row for each of SPANS."""
    num_mid_commit = sum(kill.is_mid_commit for kill in kills)
    rows = []
    for span, heading in SPANS.items():
        found_s = [kill.spans_s()[span] for kill in kills]
        p50_s, p99_s = np.quantile(found_s, (0.5, 0.99)).tolist()
        row = {"program": f"{name}: {heading}", "span": span, "kills": len(kills)}
        row |= {"kills_mid_commit": num_mid_commit, "p50_s": p50_s, "p99_s": p99_s, "max_s": max(found_s)}
        rows.append(row | {"spans_s": found_s})
    return rows


async def kill_again_and_again(bench: Bench, program: Program, workplace: Workplace, problems: list[str]) -> list[Kill]:
    """Kill a worker again and again, while records flow; deletes the topics. Problems are appended to `problems`."""
    workers: list[ProgramProcess] = []
    is_over = False
    kills: list[Kill] = []
    with Coordinator(bench.stack.kafka, workplace.settings.group) as coordinator, ExitStack() as ended:
        ended.callback(workplace.delete_topics)

        async def launch() -> None:
            worker = bench.worker(program, workplace, suffix=f"-{len(kills) + len(workers)}")
            ended.callback(worker.kill)
            workers.append(worker)
            await asyncio.to_thread(worker.start)

        for _ in range(NUM_WORKERS):
            await launch()
        async with Traffic(workplace, bench.amounts.streams, bench.amounts.rate) as traffic:
            sending = asyncio.create_task(traffic.send(lambda: is_over))
            for _ in range(bench.amounts.kills):
                kills.append(await _kill(workers.pop(0), workers, coordinator, traffic, workplace))
                await launch()
            is_over = True
            await sending
            await traffic.wait_for(lambda: traffic.num_outstanding <= 0, TIMEOUT_S, "an event for each record")
        for worker in workers:
            await asyncio.to_thread(worker.terminate)
    if problem := traffic.problem():
        problems.append(f"{program.name}: {problem}")
    return kills


async def _kill(
    victim: ProgramProcess,
    survivors: Sequence[ProgramProcess],
    coordinator: Coordinator,
    traffic: Traffic,
    workplace: Workplace,
) -> Kill:
    """Kill one worker once both are settled, and wait until the other has taken over all of its partitions."""
    partitions = await settle([victim, *survivors], traffic, workplace)
    is_mid_commit = await asyncio.to_thread(_stop_mid_commit, victim, coordinator, workplace, partitions)
    killed_s = time.time()
    victim.kill()
    num_workers = len(survivors) + 1
    detected_s, assigned_s = await asyncio.to_thread(
        lambda: (
            coordinator.wait_for_members(lambda number: number != num_workers, TIMEOUT_S),
            coordinator.wait_for_members(lambda number: number == len(survivors), TIMEOUT_S),
        )
    )
    first_s: dict[int, float] = {}

    def has_all() -> bool:
        for arrival in traffic.since(detected_s):
            if arrival.partition in partitions:
                first_s.setdefault(arrival.partition, arrival.at_s)
        return first_s.keys() == partitions

    await traffic.wait_for(has_all, TIMEOUT_S, "events of the killed worker's partitions")
    return Kill(killed_s, detected_s, assigned_s, min(first_s.values()), max(first_s.values()), is_mid_commit)


async def settle(workers: Sequence[ProgramProcess], traffic: Traffic, workplace: Workplace) -> set[int]:
    """Wait until the workers own all partitions and keep up; returns those of the first worker."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        owned = [owned_partitions(await asyncio.to_thread(worker.metrics)) for worker in workers]
        is_shared = all(owned) and sum(map(len, owned)) == len(set().union(*owned)) == workplace.settings.partitions
        if is_shared and traffic.num_outstanding < SETTLED_S * traffic.rate:
            return owned[0]
        await asyncio.sleep(SETTLED_S)
    raise TimeoutError(f"the workers do not share the partitions within {TIMEOUT_S:g} s\n{workers[0].tail()}")


def _stop_mid_commit(
    victim: ProgramProcess, coordinator: Coordinator, workplace: Workplace, partitions: set[int]
) -> bool:
    """Stop the worker with a transaction open. After MAX_STOPS it is stopped without one, and the answer is False."""
    for _ in range(MAX_STOPS):
        time.sleep(random.uniform(0, MAX_PAUSE_S))
        victim.pause()
        if coordinator.has_open_transaction(workplace.settings.events_topic, partitions):
            return True
        victim.resume()
    victim.pause()
    return False
