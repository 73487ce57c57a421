"""python -m tests.simulation: run seeds, and planted bugs, and report."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from tests.simulation.planted import ALL, first_seed_that_finds
from tests.simulation.report import PlantedResult, Summary, counts, write_report
from tests.simulation.run import DEFAULT_RECORDS, Outcome, run_seed

_HASH_SEED = "PYTHONHASHSEED"
_MAX_SHOWN = 5

Item = TypeVar("Item")
Result = TypeVar("Result")


def main() -> int:
    """Run what the command line says; 1 where a seed finds a difference or no seed finds a planted bug."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=500, help="how many seeds, or at most how many for a planted bug")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--records", type=int, default=DEFAULT_RECORDS, help="input records of a seed")
    parser.add_argument(
        "--planted", nargs="*", metavar="BUG", help=f"plant bugs instead (default all): {', '.join(ALL)}"
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="run seeds and planted bugs, and write the page docs/simulation.md"
    )
    parser.add_argument(
        "--seeds-per-bug", type=int, default=500, help="at most how many seeds for a planted bug of the report"
    )
    options = parser.parse_args()
    if options.planted is not None and options.report is None:
        return _show_planted(_plant(options.planted or list(ALL), options.first_seed, options.seeds))
    summary = _run(range(options.first_seed, options.first_seed + options.seeds), options.records)
    if options.report is not None:
        planted = list(_plant(options.planted or list(ALL), options.first_seed, options.seeds_per_bug))
        options.report.write_text(write_report(summary, planted))
    return int(summary.num_different > 0)


def _run(seeds: Sequence[int], num_records: int) -> Summary:
    began_s = time.perf_counter()
    outcomes = []
    for outcome in _on_all_processors(partial(run_seed, num_records=num_records), seeds):
        outcomes.append(outcome)
        if outcome.differences:
            _show(outcome, num_records)
    summary = Summary(outcomes, time.perf_counter() - began_s)
    for name, figures in summary.rows():
        print(f"{name:13} {figures}")
    if len(outcomes) == 1:
        print(f"trace         {outcomes[0].digest}")
    return summary


def _on_all_processors(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """The results in the order of the items."""
    num_processes = min(len(items), os.cpu_count() or 1)
    if num_processes < 2:  # another one would only take its time to start
        yield from map(function, items)
        return
    with ProcessPoolExecutor(num_processes, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(function, items)


def _show(outcome: Outcome, num_records: int) -> None:
    for line in outcome.differences[:_MAX_SHOWN]:
        print(f"seed {outcome.seed}: {line}")
    if len(outcome.differences) > _MAX_SHOWN:
        print(f"seed {outcome.seed}: and {len(outcome.differences) - _MAX_SHOWN} more")
    command = f"python -m tests.simulation --first-seed {outcome.seed} --seeds 1 --records {num_records}"
    print(f"seed {outcome.seed}: {counts(outcome.faults)}; repeat it: {command}", flush=True)


def _plant(names: Sequence[str], first_seed: int, max_seeds: int) -> Iterator[PlantedResult]:
    find = partial(first_seed_that_finds, first_seed=first_seed, max_seeds=max_seeds)
    for name, outcome in zip(names, _on_all_processors(find, names), strict=True):
        yield PlantedResult(name, max_seeds if outcome is None else outcome.seed - first_seed + 1, outcome)


def _show_planted(planted: Iterable[PlantedResult]) -> int:
    missed = 0
    for name, _, outcome in planted:
        missed += outcome is None
        found = "not found" if outcome is None else f"found by seed {outcome.seed}: {outcome.differences[0]}"
        print(f"{name:40} {found}", flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    # The order of sets of text follows from the hash seed, and with it the order of requests.
    if os.environ.get(_HASH_SEED) != "0":
        os.execve(
            sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]], os.environ | {_HASH_SEED: "0"}
        )
    sys.exit(main())
