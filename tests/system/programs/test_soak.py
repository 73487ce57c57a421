"""The soak test, in small: a run of half a minute with a fault every few seconds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.__main__ import lines, trends_of
from tests.soak.run import Plan, soak
from tests.soak.samples import FIGURES
from worker.stack import LocalStack


@pytest.mark.slow
def test_a_short_soak_loses_and_repeats_nothing_and_reports_every_figure(checkpoint: Path, tmp_path: Path) -> None:
    plan = Plan(run_s=30, rate=100, fault_every_s=6, sample_every_s=0.5, num_streams=200)
    with LocalStack(append_only=True) as stack:
        outcome = soak(stack, checkpoint, tmp_path, plan)
    assert outcome.accounts.exact, outcome.accounts
    assert outcome.accounts.num_records >= plan.rate * plan.run_s / 2
    assert outcome.accounts.report.num_events > 0
    assert sum(outcome.faults.values()) >= 3
    assert {name for name in FIGURES if not outcome.sampler.points[name]} == set()
    report = "\n".join(lines(outcome, trends_of(outcome)))
    assert all(shown in report for shown in FIGURES.values())
