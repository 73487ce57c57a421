"""Writes the results of a campaign for readers."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from tests.faults.catalogue import FAULTS, FINDERS
from tests.faults.results import Result
from tests.faults.run import MAX_RECOVERY_S, NUM_WORKERS, RATE, SESSION_S
from tests.planted_bugs.registry import described
from tests.system.planted import BUGS

INTRODUCTION = f"""# Faults on real servers

Every line below is a fault, caused once a seed (`mix`: after every 250 records) while {NUM_WORKERS} workers process
{RATE} records a second from four partitions of a real Kafka, with a real Redis. A seed decides the records, the victim
and the moment, though not the exact timing. In the end the whole output, as a `read_committed` consumer sees it, and
the states in Redis are compared with an offline pass of a plain numpy network over everything that was sent. A
difference is an event that is lost, repeated, unknown, out of order or wrong, a wrong state, a recovery of more than
{MAX_RECOVERY_S:g} s, or a run that does not finish.

- Restarts: of workers, by the fault or because they ended by themselves.
- Zombies: writes to partitions that a worker had lost. Tried: refused by Kafka or Redis. Accepted: events that came
  twice or that nothing explains.
- Replayed: records that were applied to states in Redis without being published again.
- Recovery: seconds from the fault to the next event on each partition of the victim, after SIGTERM to the next owner's.
  The session of {SESSION_S:g} s is included where only its end reveals the fault.
"""
PLANTED_BUGS = """## Planted bugs

Each line is the worker's code with one thing left out or changed, in every worker of a run. `seeds` is the number of
seeds of the fault that were run until one found a difference.
"""
PLANTED_COLUMNS = ("bug", "what it does", "fault", "seeds", "differences", "repeat with")
COLUMNS = (
    "fault",
    "runs",
    "records",
    "restarts",
    "zombies tried / accepted",
    "replayed",
    "recovery p50 / p99 s",
    "differences",
    "repeat with",
)


def write_report(results: Sequence[Result]) -> str:
    """The page, in Markdown. Raises ValueError when there are no results."""
    if not results:
        raise ValueError("there are no results to report; run the campaign first")
    by_bug = {bug: [one for one in results if one.planted == bug] for bug in FINDERS}
    by_bug = {bug: found for bug, found in by_bug.items() if found}
    results = [one for one in results if not one.planted]
    by_fault = {name: [one for one in results if one.fault == name] for name in FAULTS}
    by_fault = {name: found for name, found in by_fault.items() if found}
    lines = [INTRODUCTION, _row(COLUMNS), _row("---" for _ in COLUMNS)]
    lines += [_row(_cells(name, found)) for name, found in by_fault.items()]
    lines += ["", _conclusion(results), ""]
    lines += [f"- `{name}`: {FAULTS[name].description}." for name in by_fault]
    if by_bug:
        lines += ["", PLANTED_BUGS, _row(PLANTED_COLUMNS), _row("---" for _ in PLANTED_COLUMNS)]
        lines += [_row(_planted_cells(bug, found)) for bug, found in by_bug.items()]
    return "\n".join([*lines, ""])


def _planted_cells(bug: str, results: Sequence[Result]) -> Iterable[object]:
    found = next((one for one in results if one.num_differences), None)
    seeds = sum(one.seed <= found.seed for one in results) if found else f"not in {len(results)}"
    command = f'`make faults ARGS="--planted {bug} --seeds 1 --first-seed {found.seed}"`' if found else ""
    return f"`{bug}`", described(BUGS[bug]), f"`{FINDERS[bug]}`", seeds, _differences([found] if found else []), command


def _row(cells: Iterable[object]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def _cells(name: str, results: Sequence[Result]) -> Iterable[object]:
    seeds = [one.seed for one in results]
    first = f" --first-seed {min(seeds)}" if min(seeds) != 1 else ""
    return (
        f"`{name}`",
        len(results),
        f"{sum(one.records for one in results):,}",
        sum(one.restarts for one in results),
        f"{sum(one.zombies_tried for one in results)} / {sum(one.zombies_accepted for one in results)}",
        f"{sum(one.replayed for one in results):,}",
        _percentiles([seconds for one in results for seconds in one.recovery_s]),
        _differences(results),
        f'`make faults ARGS="--fault {name} --seeds {len(seeds)}{first}"`',
    )


def _percentiles(times_s: Sequence[float]) -> str:
    return " / ".join(f"{np.percentile(times_s, share):.1f}" for share in (50, 99)) if times_s else ""


def _differences(results: Iterable[Result]) -> str:
    total: Counter[str] = Counter()
    for one in results:
        total.update(one.differences)
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in total.items()) or "0"


def _conclusion(results: Sequence[Result]) -> str:
    num_records = sum(one.records for one in results)
    num_differences = sum(one.num_differences for one in results)
    commits = Counter(one.commit for one in results)
    code = ", ".join(f"{commit} ({num_runs} runs)" for commit, num_runs in commits.items())
    machine = f"{os.cpu_count()} cores, {platform.system()}; commits: {code}"
    if num_differences:
        return f"{num_differences:,} differences in {len(results)} runs and {num_records:,} records ({machine})."
    return (
        f"No difference in {len(results)} runs and {num_records:,} records ({machine}): by the rule of three, "
        f"fewer than one record in {num_records // 3:,} differs, at 95%."
    )
