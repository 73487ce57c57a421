"""Seeds find no difference, are repeated to the same bytes, and find what is planted."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import TESTS
from tests.simulation.planted import ALL, RARE

NUM_SEEDS = 500
MAX_SEEDS_FOR_A_BUG = 150
BOUND_S = 500


def simulate(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.simulation", *options]
    return subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True, timeout=BOUND_S, check=False)


def trace(seed: int) -> str:
    report = simulate("--seeds", "1", "--first-seed", str(seed)).stdout
    return report.split("trace")[1].strip()


@pytest.mark.slow
def test_whatever_happens_each_record_counts_once() -> None:
    completed = simulate("--seeds", str(NUM_SEEDS))
    assert completed.returncode == 0, completed.stdout + completed.stderr


def test_a_seed_is_repeated_to_the_same_bytes() -> None:
    assert trace(7) == trace(7) != trace(8)


@pytest.mark.slow
def test_every_planted_bug_is_found() -> None:
    names = sorted(ALL.keys() - RARE)
    assert len(names) >= 10
    completed = simulate("--planted", *names, "--seeds", str(MAX_SEEDS_FOR_A_BUG))
    assert completed.returncode == 0, completed.stdout + completed.stderr
