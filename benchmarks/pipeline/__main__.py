"""Measures our worker as a stream processor: its rate, latency, costs and recovery, on local servers.

Other load on the machine moves all figures: trust only the ratios of one run. `--against` adds the worker of another
checkout, for example a git worktree of an earlier commit, as the rows "before".
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import fields
from pathlib import Path

from rich.console import Console

from benchmarks.machine import describe_machine
from benchmarks.pipeline.bench import Amounts, Bench
from benchmarks.pipeline.draw import PLOT
from benchmarks.pipeline.measurements.backlog import measure_backlog
from benchmarks.pipeline.measurements.flat import measure_flat
from benchmarks.pipeline.measurements.idle import measure_idle
from benchmarks.pipeline.measurements.paced import measure_paced
from benchmarks.pipeline.measurements.partitions import measure_partitions
from benchmarks.pipeline.measurements.restart import measure_restart
from benchmarks.pipeline.measurements.takeover import measure_takeover
from benchmarks.pipeline.measurements.traces import measure_traces
from benchmarks.pipeline.programs import earlier
from benchmarks.pipeline.report import TABLE_WIDTH, Report, print_report
from model.checkpoint import DEFAULT_CHECKPOINT
from model.evaluation.plots import check_plot_file
from tests.checkpoints import save_tiny_checkpoint
from worker.stack import LocalStack

MEASUREMENTS = {
    "backlog": measure_backlog,
    "paced": measure_paced,
    "partitions": measure_partitions,
    "idle": measure_idle,
    "takeover": measure_takeover,
    "restart": measure_restart,
    "flat": measure_flat,
    "traces": measure_traces,
}
MIN_RECORDS = 100
DEFAULT = Amounts()


def main() -> None:
    """Measure and print; exit with an error if a program has not given each record one event."""
    parser = _parser()
    args = parser.parse_args()
    records = {"flat_records": args.records} if "records" in args else {}
    given = {field.name: getattr(args, field.name) for field in fields(Amounts) if field.name in args}
    amounts = Amounts(**given | {"partition_counts": tuple(args.partition_counts)} | records)
    if min(amounts.records, amounts.flat_records, amounts.faust_records) < MIN_RECORDS:
        parser.error(f"a rate needs at least {MIN_RECORDS} records")
    if args.against and not (args.against / "worker").is_dir():
        parser.error(f"--against {args.against}: not a checkout of the worker")
    before = earlier(args.against.resolve(), args.against_python) if args.against else None
    if args.plots:
        args.plots.mkdir(parents=True, exist_ok=True)
        check_plot_file(args.plots / PLOT)
    machine = describe_machine()
    console = Console(width=TABLE_WIDTH, highlight=False, stderr=args.as_json)
    load = os.getloadavg()
    features = ", ".join(machine["features"])
    console.print(f"{machine['processor']}, {machine['cores']} cores, {features}; load {load[0]:.1f} at the start")
    with tempfile.TemporaryDirectory(prefix="sentiment-bench-") as name, LocalStack(append_only=True) as stack:
        work_dir = Path(name)
        checkpoint = args.checkpoint and args.checkpoint.resolve()  # the programs have other working directories
        if checkpoint is None and not DEFAULT_CHECKPOINT.exists():
            checkpoint = save_tiny_checkpoint(work_dir / "tiny")
        bench = Bench(stack, work_dir, checkpoint, amounts, before, args.plots)
        reports = _measure(bench, args.only, console)
    if args.as_json:
        measured = {name: report.to_dict() for name, report in reports.items()}
        print(json.dumps({"machine": machine, "load": load, "amounts": vars(amounts)} | measured))
    if any(report.problems for report in reports.values()):
        sys.exit("a program has not given one event for each record")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, default=list(MEASUREMENTS), help="what to measure")
    parser.add_argument("--against", type=Path, metavar="DIR", help="another checkout, whose worker is measured too")
    parser.add_argument("--against-python", type=Path, metavar="FILE", help="its interpreter; default: this one")
    parser.add_argument(
        "--records",
        type=int,
        default=argparse.SUPPRESS,
        help="tweets of backlog and traces (default 100,000), flat (1,000,000)",
    )
    parser.add_argument(
        "--rounds", type=int, default=DEFAULT.rounds, help="of the programs of backlog; the fastest run counts"
    )
    parser.add_argument("--faust-records", type=int, default=DEFAULT.faust_records, help="tweets for the slow peer")
    parser.add_argument("--streams", type=int, default=DEFAULT.streams, help="accounts that write the tweets")
    parser.add_argument("--rate", type=float, default=DEFAULT.rate, help="records/s of paced, partitions, takeover")
    parser.add_argument(
        "--seconds", type=float, default=DEFAULT.seconds, help="duration of each row of paced, partitions"
    )
    parser.add_argument("--partitions", type=int, default=DEFAULT.partitions, help="of paced, idle, takeover, restart")
    parser.add_argument(
        "--partition-counts", type=int, nargs="+", default=DEFAULT.partition_counts, help="of partitions"
    )
    parser.add_argument("--idle-seconds", type=float, dest="idle_s", default=DEFAULT.idle_s, help="duration of idle")
    parser.add_argument("--kills", type=int, default=DEFAULT.kills, help="of takeover")
    parser.add_argument(
        "--restarts", type=int, default=DEFAULT.restarts, help="of each worker, in each of the ways of restart"
    )
    parser.add_argument("--checkpoint", type=Path, help="directory of another checkpoint than the packaged one")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="draw latency.svg of paced there")
    parser.add_argument("--json", action="store_true", dest="as_json", help="one JSON object; the tables go to stderr")
    return parser


def _measure(bench: Bench, names: list[str], console: Console) -> dict[str, Report]:
    """The reports, by name; each is printed once it is there."""
    reports = {}
    for name in dict.fromkeys(names):
        reports[name] = MEASUREMENTS[name](bench)
        print_report(console, reports[name])
    return reports


if __name__ == "__main__":
    main()
