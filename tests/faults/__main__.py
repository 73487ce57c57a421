"""Injects faults while records flow, and judges each run by an oracle.

    python -m tests.faults --fault kill --fault mix --seeds 20
    python -m tests.faults --planted unstable_offset_read --seeds 5
    python -m tests.faults --report

Results go to runs/faults.jsonl. A seed that is there for the same code is not run again, so a campaign that was cut off
continues. The seed determines the records, the faults and their order, but not their exact timing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tests.faults.campaign import Campaign
from tests.faults.catalogue import FAULTS, FINDERS
from tests.faults.report import write_report
from tests.faults.results import Result, Results
from tests.system.worker_process import ROOT

RESULTS = ROOT / "runs" / "faults.jsonl"
LOGS = ROOT / "runs" / "faults"
REPORT = ROOT / "docs" / "faults.md"
HEAD = ("fault", "seed", "seconds", "records", "restarts", "zombies", "replayed", "recovery_s", "differences")


def print_line(*columns: object) -> None:
    """Print one line of the table."""
    name, *others = columns
    print(f"{name:<24}", *(f"{column!s:>11}" for column in others), flush=True)


def print_result(one: Result) -> None:
    """Print a result, and what is different."""
    slowest_s = max(one.recovery_s, default="")
    print_line(
        one.fault, one.seed, one.seconds, one.records, one.restarts, one.zombies_tried, one.replayed, slowest_s,
        one.num_differences,
    )  # fmt: skip
    for example in one.examples:
        print(f"  {example}", flush=True)


def find_planted(campaign: Campaign, bugs: Sequence[str], seeds: Sequence[int]) -> int:
    """Let faults find the planted bugs; returns 1 if one is not found."""
    num_missed = 0
    for bug in bugs:
        num_seeds = num_differences = 0
        for result in campaign.find(bug, seeds):
            print_result(result)
            num_seeds += 1
            num_differences += result.num_differences
        print(f"{bug}: {'found' if num_differences else 'not found'} in {num_seeds} seeds", flush=True)
        num_missed += not num_differences
    return int(num_missed > 0)


def main() -> int:
    """Run the seeds in the command line; returns 1 if any differs, or no seed finds a planted bug."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.splitlines()[0])
    parser.add_argument("--fault", action="append", choices=FAULTS, help="may be repeated; default: all of them")
    parser.add_argument(
        "--planted",
        nargs="*",
        choices=FINDERS,
        metavar="BUG",
        help=f"plant bugs in the workers instead (default all), until a fault finds each: {', '.join(FINDERS)}",
    )
    parser.add_argument("--seeds", type=int, default=20, help="number of runs of each fault; at most, of a planted bug")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--records", type=int, default=1500, help="number of records in each run")
    parser.add_argument("--report", action="store_true", help=f"write {REPORT.relative_to(ROOT)}, and run nothing")
    asked = parser.parse_args()
    results = Results(RESULTS)
    if asked.report:
        REPORT.write_text(write_report(results.latest()))
        return 0
    print_line(*HEAD)
    num_differences = 0
    seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
    campaign = Campaign(results, asked.records, LOGS)
    if asked.planted is not None:
        return find_planted(campaign, asked.planted or list(FINDERS), seeds)
    faults = [FAULTS[name] for name in asked.fault or FAULTS]
    for result in campaign.run(faults, seeds):
        print_result(result)
        num_differences += result.num_differences
    return 1 if num_differences else 0


if __name__ == "__main__":
    sys.exit(main())
