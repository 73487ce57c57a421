"""Measures our worker on a backlog of simulated tweets, then its peers on the same records, one after the other.

Every row is a process of its own on the same local Kafka and Redis. A rate is that of the committed events, by their
own timestamps, from the first micro-batch on; CPU time is the process' own, without Kafka and Redis. A machine that
does other things as well moves all of it: believe the ratios of one run, and those only as far as the last row, our
worker again, stands by 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.pipeline.backlog import produce
from benchmarks.pipeline.programs import OURS, PROGRAMS, STOCK_FAUST, ProgramResult, run
from benchmarks.pipeline.report import as_json, print_table
from model.checkpoint import DEFAULT_CHECKPOINT
from tests.checkpoints import save_tiny_checkpoint
from worker.stack import LocalStack

MIN_RECORDS = 100


def measure(stack: LocalStack, checkpoint: Path | None, args: argparse.Namespace, folder: Path) -> list[ProgramResult]:
    """All rows; the first run, of which nothing is kept, warms the broker up."""
    backlog = produce(stack, args.records, args.streams)
    short = produce(stack, min(args.faust_records, args.records), args.streams)
    run(stack, OURS, short, checkpoint, folder)
    return [
        run(stack, program, short if program is STOCK_FAUST else backlog, checkpoint, folder)
        for program in (*PROGRAMS, OURS)
    ]


def main() -> None:
    """Measure, print, and fail where a program has not done its work."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description=__doc__)
    parser.add_argument("--records", type=int, default=100_000, help="tweets in the backlog")
    parser.add_argument("--streams", type=int, default=5000, help="accounts that write them")
    parser.add_argument("--faust-records", type=int, default=5000, help="tweets for the peer that is slow")
    parser.add_argument("--checkpoint", type=Path, help="folder of another network than the packaged one")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    args = parser.parse_args()
    if min(args.records, args.faust_records) < MIN_RECORDS:
        parser.error(f"a rate wants at least {MIN_RECORDS} records")
    with tempfile.TemporaryDirectory(prefix="sentiment-bench-") as name, LocalStack(append_only=True) as stack:
        folder = Path(name)
        checkpoint = args.checkpoint and args.checkpoint.resolve()  # the programs run in folders of their own
        if checkpoint is None and not DEFAULT_CHECKPOINT.exists():
            checkpoint = save_tiny_checkpoint(folder / "tiny")
        rows = measure(stack, checkpoint, args, folder)
    if args.json:
        print(json.dumps(as_json(rows)))
    else:
        print_table(rows)
    if not all(row.is_complete or row.skipped for row in rows):
        sys.exit("a program has not given one event for each record")


if __name__ == "__main__":
    main()
