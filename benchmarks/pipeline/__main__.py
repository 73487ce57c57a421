"""Measures our worker on a backlog of simulated tweets, then its peers on the same records, one after the other.

Every row is a process of its own on the same local Kafka and Redis. A rate counts committed events by their timestamps,
after the first micro-batch; CPU time is that of the process, without Kafka and Redis. Other load on the machine moves
all figures: trust only the ratios of one run, and only as far as the last row, our worker again, is close to 1.
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


def measure(
    stack: LocalStack, checkpoint: Path | None, args: argparse.Namespace, work_dir: Path
) -> list[ProgramResult]:
    """All rows, after a run that only warms up the broker."""
    backlog = produce(stack, args.records, args.streams)
    short = produce(stack, min(args.faust_records, args.records), args.streams)
    run(stack, OURS, short, checkpoint, work_dir)
    return [
        run(stack, program, short if program is STOCK_FAUST else backlog, checkpoint, work_dir)
        for program in (*PROGRAMS, OURS)
    ]


def main() -> None:
    """Measure and print; exit with an error if a program has not given each record one event."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description=__doc__)
    parser.add_argument("--records", type=int, default=100_000, help="tweets in the backlog")
    parser.add_argument("--streams", type=int, default=5000, help="accounts that write them")
    parser.add_argument("--faust-records", type=int, default=5000, help="tweets for the slow peer, Faust")
    parser.add_argument("--checkpoint", type=Path, help="directory of another checkpoint than the packaged one")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    args = parser.parse_args()
    if min(args.records, args.faust_records) < MIN_RECORDS:
        parser.error(f"a rate needs at least {MIN_RECORDS} records")
    with tempfile.TemporaryDirectory(prefix="sentiment-bench-") as name, LocalStack(append_only=True) as stack:
        work_dir = Path(name)
        checkpoint = args.checkpoint and args.checkpoint.resolve()  # the programs have other working directories
        if checkpoint is None and not DEFAULT_CHECKPOINT.exists():
            checkpoint = save_tiny_checkpoint(work_dir / "tiny")
        rows = measure(stack, checkpoint, args, work_dir)
    if args.json:
        print(json.dumps(as_json(rows)))
    else:
        print_table(rows)
    if not all(row.is_complete or row.skipped for row in rows):
        sys.exit("a program has not given one event for each record")


if __name__ == "__main__":
    main()
