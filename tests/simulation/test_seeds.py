"""Seeds find no difference, are repeated to the same bytes, and find what is planted."""

from __future__ import annotations

import subprocess
import sys
from unittest import mock

import pytest

from tests.conftest import TESTS
from tests.simulation.planted import ALL, first_seed_that_finds
from tests.simulation.report import PlantedResult, Summary, write_report
from tests.simulation.run import run_seed
from worker.ownership.takeover import TakeOver

NUM_SEEDS = 500
RARE = {"flush_under_another_lineage": 90}  # bugs that few seeds find, and the first of the seeds that are tried
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
    assert len(ALL) >= 10
    for names, first_seed in [(sorted(ALL.keys() - RARE.keys()), 0), *(([name], seed) for name, seed in RARE.items())]:
        completed = simulate("--planted", *names, "--first-seed", str(first_seed), "--seeds", str(NUM_SEEDS))
        assert completed.returncode == 0, completed.stdout + completed.stderr


def test_a_bug_that_does_not_fit_the_worker_s_code_is_named_and_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ALL, "of_before", lambda: mock.patch.object(TakeOver, "take_over", lambda _: None))
    with pytest.raises(AssertionError, match=r"of_before does not fit: .*TypeError"):
        first_seed_that_finds("of_before", first_seed=0, max_seeds=1)


def test_a_report_tells_what_was_run_and_how_to_repeat_it() -> None:
    outcome = run_seed(3, num_records=10)
    planted = [PlantedResult("topic_ids_ignored", 4, outcome), PlantedResult("no_owner_token", 9, None)]
    report = write_report(Summary([outcome] * 6, took_s=2.0), planted)
    assert "| records | 60, each under faults; 108,000 an hour |" in report
    assert "fewer than one seed in 2\n" in report
    assert "| 4 | `python -m tests.simulation --planted topic_ids_ignored --first-seed 3 --seeds 1` |" in report
    assert "| `no_owner_token` | A flush asks for its lineage and position alone. | not in 9 |" in report


def test_a_report_claims_no_rate_where_seeds_differ() -> None:
    outcome = run_seed(3, num_records=10)
    report = write_report(Summary([outcome, outcome._replace(differences=["r1: 2 events"])], took_s=1.0), [])
    assert "1 of 2 seeds" in report
    assert "rule of three" not in report
