"""Runs the worker for an hour at half load with a fault a minute, and says whether anything grows, is lost or is twice.

    python -m tests.soak
    python -m tests.soak --minutes 3 --rate 300

Prints a table in Markdown, for docs/results.md, and writes it to runs/soak.md.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.soak.run import NUM_READ_STREAMS, NUM_WORKERS, Outcome, Plan, soak
from tests.soak.samples import FIGURES, NOT_JUDGED
from tests.soak.trends import Trend, trend
from tests.system.worker_process import ROOT
from worker.stack import LocalStack

REPORT = ROOT / "runs" / "soak.md"
LOGS = ROOT / "runs" / "soak"
MAX_WARM_S = 180.0  # of the life of a process; at most a tenth of the run


def trends_of(outcome: Outcome) -> dict[str, Trend | None]:
    """The trend of each figure."""
    warm_s = min(MAX_WARM_S, outcome.run_s / 10)
    return {name: trend(outcome.sampler.points[name], outcome.run_s, warm_s) for name in FIGURES}


def lines(outcome: Outcome, trends: dict[str, Trend | None]) -> Iterator[str]:
    """The report in Markdown."""
    accounts, report = outcome.accounts, outcome.accounts.report
    faults = ", ".join(f"{name} {number}" for name, number in sorted(outcome.faults.items()))
    yield f"{outcome.run_s / 60:g} minutes at {outcome.rate:,.0f} records/s, {NUM_WORKERS} workers. Faults: {faults}."
    yield ""
    others = f"other differences in {NUM_READ_STREAMS} streams"
    yield f"| records | lost | twice | of no record | processes started again | {others} |"
    yield "|---|---|---|---|---|---|"
    num_others = sum(map(len, report.faults.values()))
    counts = (accounts.num_records, accounts.num_lost, accounts.num_twice, accounts.num_unknown, outcome.restarts)
    yield f"| {' | '.join(f'{number:,}' for number in (*counts, num_others))} |"
    yield ""
    yield "| | samples | mean | slope an hour (95%) | verdict |"
    yield "|---|---|---|---|---|"
    for name, found in trends.items():
        if found is None:
            yield f"| {FIGURES[name]} | too few | | | |"
            continue
        interval = f"{found.slope_per_h:+.2f} ({found.low_per_h:+.2f} to {found.high_per_h:+.2f})"
        verdict = "not judged" if name in NOT_JUDGED else "grows" if found.growing else "flat"
        yield f"| {FIGURES[name]} | {found.num_points} | {found.mean:,.2f} | {interval} | {verdict} |"


def main() -> int:
    """Run it; returns 1 where something grows, is lost, twice or otherwise different."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=0.0, help="records a second; 0: half of what the workers drain")
    parser.add_argument("--fault-every", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--streams", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    # Not the default: its table is of 16-bit integers, which moves scores by more than the oracle tolerates.
    parser.add_argument("--checkpoint", type=Path, default=Path("en"), help="folder or packaged name")
    asked = parser.parse_args()
    plan = Plan(60 * asked.minutes, asked.rate, asked.fault_every, num_streams=asked.streams, seed=asked.seed)
    shutil.rmtree(LOGS, ignore_errors=True)  # a worker appends to its log
    with LocalStack(append_only=True) as stack:
        outcome = soak(stack, asked.checkpoint, LOGS, plan)
    trends = trends_of(outcome)
    text = "\n".join(lines(outcome, trends)) + "\n"
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(text)
    print(text, end="")
    if not outcome.accounts.exact:
        print(outcome.accounts.report)
    growing = {name for name, found in trends.items() if found is not None and found.growing}
    return int(not outcome.accounts.exact or bool(growing - NOT_JUDGED))


if __name__ == "__main__":
    sys.exit(main())
