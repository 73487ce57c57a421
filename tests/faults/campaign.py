"""Runs faults one seed at a time, each on topics and a group of its own, on servers that runs share."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from traceback import extract_tb
from typing import NamedTuple

from tests.checkpoints import save_tiny_checkpoint
from tests.faults.catalogue import FAULTS, FINDERS, Fault
from tests.faults.measurements import num_fenced, recovery_times
from tests.faults.results import Result, Results, commit_of_code
from tests.faults.run import MAX_RECOVERY_S, SETTINGS, Run
from tests.system.planted import program_with
from tests.system.scene import Scene
from tests.system.verifier import NUM_SHOWN, Report
from tests.system.worker_process import PROGRAM
from tests.workplace import new_workplace
from worker.stack import LocalStack

MAX_EXAMPLE_COLUMNS = 1000


@dataclass
class Campaign:
    """Seeds of faults with `num_records` each. Logs of runs with differences stay in `folder`.

    planted: a bug in all workers, '' for none.
    """

    results: Results
    num_records: int
    folder: Path
    planted: str = ""

    def run(self, faults: Sequence[Fault], seeds: Sequence[int]) -> Iterator[Result]:
        """Run every seed of every fault that the results lack, faults with the same servers one after the other.

        With a planted bug every seed runs.
        """
        commit = commit_of_code()
        shutil.rmtree(self.folder / "checkpoint", ignore_errors=True)
        checkpoint = save_tiny_checkpoint(self.folder / "checkpoint")
        for kind in dict.fromkeys(fault.kind for fault in faults):
            left = [
                (fault, seed)
                for fault in faults
                for seed in seeds
                if fault.kind is kind and (self.planted or not self.results.has(commit, fault.name, seed))
            ]
            while left:
                with kind.stack() as stack:
                    for result in self._run_on(stack, left, checkpoint, commit):
                        self.results.append(result)
                        yield result

    def find(self, bug: str, seeds: Sequence[int]) -> Iterator[Result]:
        """Run the fault that finds the bug, with the bug in all workers, until a seed finds a difference."""
        for result in replace(self, planted=bug).run([FAULTS[FINDERS[bug]]], seeds):
            yield result
            if result.num_differences:
                return

    def _run_on(
        self, stack: LocalStack, left: list[tuple[Fault, int]], checkpoint: Path, commit: str
    ) -> Iterator[Result]:
        """Run what is left, up to a run that does not end as it should: its servers are not used again."""
        while left:
            fault, seed = left.pop(0)
            folder = self.folder / "-".join(filter(None, (self.planted, fault.name, str(seed))))
            shutil.rmtree(folder, ignore_errors=True)  # a worker appends to its log
            place = Place(stack, checkpoint, folder, self.planted)
            result = run_seed(place, fault, seed, self.num_records, commit)
            if not result.num_differences:
                shutil.rmtree(folder)
            yield result
            if "unfinished" in result.differences:
                return
            _renew(stack)


class Place(NamedTuple):
    """Where a seed runs: servers, checkpoint, the folder for its workers' output, and the bug that they have."""

    stack: LocalStack
    checkpoint: Path
    folder: Path
    planted: str = ""


def run_seed(place: Place, fault: Fault, seed: int, num_records: int, commit: str = "") -> Result:
    """Run one seed."""
    begin_s = time.monotonic()
    workplace = new_workplace(place.stack, inputs=("tweets",), **(SETTINGS | dict(fault.settings)))
    workplace.create_topics()
    program = program_with(place.planted) if place.planted else PROGRAM
    scene = Scene(workplace, place.checkpoint, place.folder, program)
    run = Run(scene, seed, num_records, static=fault.static)
    try:
        error = _error_of(fault, run)
        scene.close()
        report, recovery_s, error = _outcome(run, error)
    finally:
        scene.close()
    if not error:
        workplace.delete_topics()
    restarts = sum(worker.num_starts - 1 for worker in run.workers)
    found = report.faults | {"unfinished": [error] if error else []}
    found["late"] = [f"no event for {late_s:g} s" for late_s in recovery_s if late_s > MAX_RECOVERY_S]
    found["restarted"] = ["a worker ended by itself"] * restarts if run.must_not_restart else []
    return Result(
        commit=commit,
        fault=fault.name,
        seed=seed,
        records=report.num_records,
        seconds=round(time.monotonic() - begin_s, 1),
        injected=dict(run.injected),
        restarts=restarts,
        zombies_tried=num_fenced(run.workers),
        zombies_accepted=len(report.twice) + len(report.unknown),
        replayed=run.replays.total,
        recovery_s=recovery_s,
        differences={name: len(messages) for name, messages in found.items() if messages},
        examples=[f"{name}: {one}"[:MAX_EXAMPLE_COLUMNS] for name, all_ in found.items() for one in all_[:NUM_SHOWN]],
        planted=place.planted,
    )


def _error_of(fault: Fault, run: Run) -> str:
    """Run it to its end; returns the error that kept it from there, or nothing. Any kind of error is a finding."""
    try:
        fault.inject(run)
        run.settle()
    except Exception as error:
        return _described(error)
    return ""


def _outcome(run: Run, error: str) -> tuple[Report, list[float], str]:
    """The verdict, the recovery times, and the error; after an error, the verdict on the events alone, if possible."""
    scene, verdict = run.scene, run.verdict
    try:
        if verdict is None:
            report = scene.report(states=not error)
        else:
            report = scene.report(verdict.expectation, states=not error, id_field=verdict.id_field)
        return report, recovery_times(scene.workplace, run.workers, run.injections), error
    except Exception as other:
        return Report(), [], error or _described(other)


def _described(error: Exception) -> str:
    """The error, after the places through which it came."""
    places = (f"{Path(frame.filename).name}:{frame.lineno}" for frame in extract_tb(error.__traceback__))
    return f"{' > '.join(places)}: {error!r}"


def _renew(stack: LocalStack) -> None:
    """Empty Redis, log and snapshots included: otherwise each snapshot would be larger than the one before."""
    redis = stack.redis_server
    redis.kill()
    redis.erase()
    shutil.rmtree(redis.folder / "snapshots", ignore_errors=True)
    redis.start()
