"""python -m tests.simulation: run seeds, and planted bugs, and report."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable

from tests.simulation.planted import ALL, first_seed_that_finds
from tests.simulation.run import DEFAULT_RECORDS, Outcome, run_seed

_HASH_SEED = "PYTHONHASHSEED"
_MAX_SHOWN = 5


def main() -> int:
    """Run what the command line says; 1 where a seed finds a difference or no seed finds a planted bug."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=500, help="how many seeds, or at most how many for a planted bug")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--records", type=int, default=DEFAULT_RECORDS, help="input records of a seed")
    parser.add_argument(
        "--planted", nargs="*", metavar="BUG", help=f"plant bugs instead (default all): {', '.join(ALL)}"
    )
    options = parser.parse_args()
    if options.planted is not None:
        return _report_planted(options.planted or list(ALL), options.first_seed, options.seeds)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    return _report(seeds, options.records)


def _report(seeds: Iterable[int], num_records: int) -> int:
    began_s = time.perf_counter()
    outcomes = []
    for seed in seeds:
        outcome = run_seed(seed, num_records)
        outcomes.append(outcome)
        if outcome.differences:
            _show(outcome, num_records)
    took_s = time.perf_counter() - began_s
    total = sum(outcome.num_records for outcome in outcomes)
    faults: Counter[str] = sum((o.faults for o in outcomes), Counter())
    deaths: Counter[str] = sum((o.deaths for o in outcomes), Counter())
    points: Counter[str] = sum((o.points for o in outcomes), Counter())
    print(f"seeds         {len(outcomes)}")
    print(f"records       {total}, each under faults; {total / took_s * 3600:,.0f} an hour")
    print(f"virtual time  {sum(o.virtual_s for o in outcomes):,.0f} s in {took_s:,.0f} s")
    print(f"faults        {_counts(faults)}")
    print(f"ends          {_counts(deaths)}")
    print(f"points        {_counts(points)}")
    print(f"stale writes  {sum(o.num_stale_writes for o in outcomes)} tried on Redis and refused")
    print(f"differences   {sum(bool(o.differences) for o in outcomes)} seeds")
    if len(outcomes) == 1:
        print(f"trace         {outcomes[0].digest}")
    return int(any(o.differences for o in outcomes))


def _show(outcome: Outcome, num_records: int) -> None:
    for line in outcome.differences[:_MAX_SHOWN]:
        print(f"seed {outcome.seed}: {line}")
    if len(outcome.differences) > _MAX_SHOWN:
        print(f"seed {outcome.seed}: and {len(outcome.differences) - _MAX_SHOWN} more")
    command = f"python -m tests.simulation --first-seed {outcome.seed} --seeds 1 --records {num_records}"
    print(f"seed {outcome.seed}: {_counts(outcome.faults)}; repeat it: {command}", flush=True)


def _report_planted(names: Iterable[str], first_seed: int, max_seeds: int) -> int:
    missed = 0
    for name in names:
        outcome = first_seed_that_finds(name, first_seed, max_seeds)
        missed += outcome is None
        found = "not found" if outcome is None else f"found by seed {outcome.seed}: {outcome.differences[0]}"
        print(f"{name:40} {found}", flush=True)
    return int(missed > 0)


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"


if __name__ == "__main__":
    # The order of sets of text follows from the hash seed, and with it the order of requests.
    if os.environ.get(_HASH_SEED) != "0":
        os.execve(
            sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]], os.environ | {_HASH_SEED: "0"}
        )
    sys.exit(main())
