"""Measures what more streams and more workers cost, on local servers.

Other load on the machine moves all figures: trust only the ratios of one run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import fields, replace
from pathlib import Path

from rich.console import Console

from benchmarks.growth.amounts import QUICK, Amounts
from benchmarks.growth.bench import GrowthBench
from benchmarks.growth.draw import PLOT, draw_growth
from benchmarks.growth.measurements.cutover import measure_cutover
from benchmarks.growth.measurements.rebuild import measure_rebuild
from benchmarks.growth.measurements.streams import measure_streams
from benchmarks.growth.measurements.takeover import measure_takeover
from benchmarks.growth.measurements.workers import measure_workers
from benchmarks.machine import describe_machine
from benchmarks.pipeline.report import TABLE_WIDTH, Report, print_report
from model.checkpoint import find_checkpoint
from model.evaluation.plots import check_plot_file
from worker.stack import LocalStack

MEASUREMENTS = {
    "streams": measure_streams,
    "takeover": measure_takeover,
    "cutover": measure_cutover,
    "rebuild": measure_rebuild,
    "workers": measure_workers,
}
HELP = {
    "streams": "numbers of streams",
    "rounds": "of each number of streams",
    "batches": "micro-batches of a round",
    "takeover_streams": "numbers of streams of takeover",
    "kills": "of each number of streams of takeover",
    "cutover_streams": "numbers of streams of cutover",
    "cutovers": "of each number of streams of cutover",
    "rebuild_records": "tweets of rebuild",
    "workers": "numbers of workers",
    "worker_records": "tweets of each number of workers",
}


def main() -> None:
    """Measure and print; exit with an error if a bar is missed or a record has not got one event."""
    args = _parser().parse_args()
    given = {each.name: getattr(args, each.name) for each in fields(Amounts) if each.name in args}
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    amounts = replace(QUICK if args.quick else Amounts(), **given)
    if args.plots:
        args.plots.mkdir(parents=True, exist_ok=True)
        check_plot_file(args.plots / PLOT)
    machine, load = describe_machine(), os.getloadavg()
    console = Console(width=TABLE_WIDTH, highlight=False, stderr=args.as_json)
    features = ", ".join(machine["features"])
    console.print(f"{machine['processor']}, {machine['cores']} cores, {features}; load {load[0]:.1f} at the start")
    reports: dict[str, Report] = {}
    with tempfile.TemporaryDirectory(prefix="sentiment-bench-") as name, LocalStack() as stack:
        checkpoint = args.checkpoint and args.checkpoint.resolve()
        bench = GrowthBench(stack, Path(name), checkpoint, amounts, find_checkpoint(args.new_checkpoint).resolve())
        for each in dict.fromkeys(args.only):
            reports[each] = MEASUREMENTS[each](bench)
            print_report(console, reports[each])
    if args.plots:
        draw_growth(reports, args.plots)
    if args.as_json:
        measured = {name: report.to_dict() for name, report in reports.items()}
        print(json.dumps({"machine": machine, "load": load, "amounts": vars(amounts)} | measured))
    if any(report.problems for report in reports.values()):
        sys.exit("a bar is missed, or a record has not got one event")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, default=list(MEASUREMENTS), help="what to measure")
    parser.add_argument("--quick", action="store_true", help="small amounts, a few minutes")
    for each in fields(Amounts):
        is_list = isinstance(each.default, tuple)
        parser.add_argument(
            f"--{each.name.replace('_', '-')}",
            type=int,
            nargs="+" if is_list else None,
            default=argparse.SUPPRESS,
            help=f"{HELP[each.name]} (default {each.default}, quick {getattr(QUICK, each.name)})",
        )
    parser.add_argument("--checkpoint", type=Path, help="directory of another checkpoint than the packaged one")
    parser.add_argument("--new-checkpoint", type=Path, default=Path("en"), help="what cutover changes to (default en)")
    parser.add_argument("--plots", type=Path, metavar="DIR", help=f"draw {PLOT} there")
    parser.add_argument("--json", action="store_true", dest="as_json", help="one JSON object; the tables go to stderr")
    return parser


if __name__ == "__main__":
    main()
