"""A short run of the mixture and of some other faults; `make faults` makes long ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checkpoints import save_tiny_checkpoint
from tests.faults.campaign import run_seed
from tests.faults.catalogue import CHUNK_RECORDS, FAULTS
from worker.stack import LocalStack

NUM_FAULTS = 6
NUM_RECORDS = 900


@pytest.mark.slow
def test_random_faults_in_sequence_lose_duplicate_and_falsify_nothing(stack: LocalStack, tmp_path: Path) -> None:
    checkpoint = save_tiny_checkpoint(tmp_path / "checkpoint")
    result = run_seed(stack, checkpoint, tmp_path / "run", FAULTS["mix"], 4, NUM_FAULTS * CHUNK_RECORDS)
    assert not result.differences, result
    assert sum(result.injected.values()) == NUM_FAULTS


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kill_in_commit", "stop_in_commit", "rebalance_twice"])
def test_a_fault_in_a_commit_or_a_rebalance_loses_duplicates_and_falsifies_nothing(
    stack: LocalStack, tmp_path: Path, name: str
) -> None:
    checkpoint = save_tiny_checkpoint(tmp_path / "checkpoint")
    result = run_seed(stack, checkpoint, tmp_path / "run", FAULTS[name], 1, NUM_RECORDS)
    assert not result.differences, result
    assert result.injected == {name: 1}
