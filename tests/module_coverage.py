"""Prints the line coverage of each module and fails if one is too low: python -m tests.module_coverage.

It reads the data that `coverage combine` has written (make coverage).
"""

from __future__ import annotations

import sys
from pathlib import Path

from coverage import Coverage

MIN_PERCENT = 85.0


def modules_below(coverage: Coverage, min_percent: float = MIN_PERCENT) -> dict[str, float]:
    """The percentage of covered lines in each measured file with less than `min_percent`, lowest first."""
    below = {}
    for file in coverage.get_data().measured_files():
        _, statements, _, missing, _ = coverage.analysis2(file)
        percent = 100 * (1 - len(missing) / len(statements)) if statements else 100.0
        if percent < min_percent:
            below[str(Path(file).relative_to(Path.cwd()))] = percent
    return dict(sorted(below.items(), key=lambda found: found[1]))


def main() -> int:
    """Print the table, then the modules below MIN_PERCENT; returns 1 if there are any."""
    coverage = Coverage()
    coverage.load()
    coverage.report()
    below = modules_below(coverage)
    if below:
        print(
            f"\nbelow {MIN_PERCENT:g}% of lines:",
            *(f"{file} {percent:.0f}%" for file, percent in below.items()),
            sep="\n  ",
        )
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
