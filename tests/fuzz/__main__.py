"""`python -m tests.fuzz`: each target in turn under atheris; it goes on with the corpus that it has."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from tests.fuzz.targets import TARGETS

FOLDER = Path("runs/fuzz")


def run_target(name: str, seconds: int) -> tuple[int, bool]:
    """How many inputs it took, and whether it passed; a failure is printed and its input kept."""
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    line = [sys.executable, "-m", "tests.fuzz.one", name, str(seconds), str(folder)]
    done = subprocess.run(line, capture_output=True, text=True, errors="replace", check=False)
    counts = re.findall(r"^stat::number_of_executed_units: *(\d+)", done.stderr, re.MULTILINE)
    if done.returncode:
        print(done.stdout[-2000:] + done.stderr[-4000:], file=sys.stderr)
    return int(counts[-1]) if counts else 0, done.returncode == 0


def main() -> int:
    """1 where a target failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", default=list(TARGETS), help=f"of {', '.join(TARGETS)}; default: all")
    parser.add_argument("--seconds", type=int, default=3600, help="for each target (default 3600)")
    arguments = parser.parse_args()
    failed = []
    for name in arguments.targets:
        num_inputs, passed = run_target(name, arguments.seconds)
        print(f"{name}: {num_inputs} inputs, {'no failure' if passed else f'FAILED, see {FOLDER / name}'}", flush=True)
        if not passed:
            failed.append(name)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
