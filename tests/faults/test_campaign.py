"""A short run of the mixture and of some other faults, and what a campaign keeps; `make faults` makes long runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.checkpoints import save_tiny_checkpoint
from tests.faults.campaign import Place, run_seed
from tests.faults.catalogue import CHUNK_RECORDS, FAULTS, FINDERS
from tests.faults.report import write_report
from tests.faults.results import Result, Results
from tests.system.planted import BUGS
from worker.stack import LocalStack

NUM_FAULTS = 6
NUM_RECORDS, FEW_RECORDS = 900, 500
MAX_SEEDS = 4
RESULT = Result(
    commit="abc1234",
    fault="kill",
    seed=1,
    records=1500,
    seconds=20.0,
    injected={"kill": 1},
    restarts=1,
    zombies_tried=2,
    zombies_accepted=0,
    replayed=30,
    recovery_s=[5.0, 7.0],
    differences={},
    examples=[],
)


@pytest.mark.slow
def test_random_faults_in_sequence_lose_duplicate_and_falsify_nothing(stack: LocalStack, tmp_path: Path) -> None:
    checkpoint = save_tiny_checkpoint(tmp_path / "checkpoint")
    result = run_seed(Place(stack, checkpoint, tmp_path / "run"), FAULTS["mix"], 4, NUM_FAULTS * CHUNK_RECORDS)
    assert not result.differences, result
    assert sum(result.injected.values()) == NUM_FAULTS


@pytest.mark.slow
@pytest.mark.parametrize("name", ["stop_in_commit", "rebalance_twice", "damaged_batch"])
def test_a_fault_in_a_commit_or_a_rebalance_loses_duplicates_and_falsifies_nothing(
    stack: LocalStack, tmp_path: Path, name: str
) -> None:
    checkpoint = save_tiny_checkpoint(tmp_path / "checkpoint")
    result = run_seed(Place(stack, checkpoint, tmp_path / "run"), FAULTS[name], 1, NUM_RECORDS)
    assert not result.differences, result
    assert result.injected == {name: 1}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["recreated_running", "offsets_beyond_end", "markers_at_end"])
def test_a_log_that_is_not_the_one_the_workers_knew_loses_duplicates_and_falsifies_nothing(
    stack: LocalStack, tmp_path: Path, name: str
) -> None:
    """markers_at_end also waits until the group's offset is behind the markers, so that an external lag is 0."""
    checkpoint = save_tiny_checkpoint(tmp_path / "checkpoint")
    result = run_seed(Place(stack, checkpoint, tmp_path / "run"), FAULTS[name], 1, FEW_RECORDS)
    assert not result.differences, result
    assert result.injected


@pytest.mark.slow
def test_a_producer_whose_id_the_broker_forgot_goes_on(tmp_path: Path) -> None:
    checkpoint = save_tiny_checkpoint(tmp_path / "checkpoint")
    fault = FAULTS["expired_id"]
    with fault.kind.stack() as stack:
        result = run_seed(Place(stack, checkpoint, tmp_path / "run"), fault, 1, FEW_RECORDS)
    assert not result.differences, result


@pytest.mark.slow
def test_a_change_of_the_model_with_kills_loses_duplicates_and_falsifies_nothing(
    stack: LocalStack, tmp_path: Path
) -> None:
    checkpoint = save_tiny_checkpoint(tmp_path / "checkpoint")
    result = run_seed(Place(stack, checkpoint, tmp_path / "run"), FAULTS["cut_over"], 1, NUM_RECORDS)
    assert not result.differences, result
    assert result.injected == {"cut_over": 2}


@pytest.mark.slow
@pytest.mark.parametrize("bug", ["offset_outside_of_the_transaction", "flush_under_another_lineage"])
def test_a_fault_finds_what_is_planted_in_the_workers(stack: LocalStack, tmp_path: Path, bug: str) -> None:
    checkpoint = save_tiny_checkpoint(tmp_path / "checkpoint")
    results = []
    for seed in range(1, MAX_SEEDS + 1):
        # What a seed does depends on the speed of the machine, too.
        place = Place(stack, checkpoint, tmp_path / f"run-{seed}", planted=bug)
        results.append(run_seed(place, FAULTS[FINDERS[bug]], seed, FEW_RECORDS))
        if results[-1].differences.keys() & {"lost", "wrong_score", "wrong_state"}:
            return
    pytest.fail(f"not found: {results}")


def test_each_planted_bug_has_a_fault_that_finds_it() -> None:
    assert len(FINDERS) >= 10
    assert FINDERS.keys() <= BUGS.keys()
    assert set(FINDERS.values()) <= FAULTS.keys()


def test_a_seed_counts_as_done_for_the_same_code_only(tmp_path: Path) -> None:
    results = Results(tmp_path / "runs" / "faults.jsonl")
    assert not results.has("abc1234", "kill", 1)
    results.append(RESULT)
    results.append(replace(RESULT, commit="abc1234+", seed=2))
    assert results.has("abc1234", "kill", 1)
    assert not any(
        results.has(*key) for key in (("def5678", "kill", 1), ("abc1234", "stop", 1), ("abc1234", "kill", 2))
    )
    assert not results.has("abc1234+", "kill", 2), "what changed since may have changed again"
    results.append(replace(RESULT, seed=4, injected={}, differences={"unfinished": 1}))
    assert not results.has("abc1234", "kill", 4), "its fault was not caused"
    results.append(replace(RESULT, seed=3, planted="no_replay"))
    assert not results.has("abc1234", "kill", 3), "a worker with a planted bug says nothing about the worker"


def test_a_report_adds_up_the_last_run_of_each_seed_and_says_how_to_repeat_them(tmp_path: Path) -> None:
    results = Results(tmp_path / "faults.jsonl")
    of_earlier_code = replace(RESULT, commit="old", seed=2)
    for result in (replace(RESULT, commit="old"), RESULT, replace(RESULT, restarts=9), of_earlier_code, RESULT):
        results.append(result)
    report = write_report(results.latest())
    assert (
        "| `kill` | 2 | 3,000 | 2 | 4 / 0 | 60 | 6.0 / 7.0 | 0 "
        '| `make faults ARGS="--fault kill --seeds 2"` |' in report
    )
    assert "fewer than one record in 1,000 differs" in report
    assert "commits: abc1234 (1 runs), old (1 runs)" in report


def test_a_report_tells_how_many_seeds_a_planted_bug_took_and_counts_them_nowhere_else(tmp_path: Path) -> None:
    planted = replace(RESULT, planted="no_replay")
    results = Results(tmp_path / "faults.jsonl")
    for result in (RESULT, planted, replace(planted, seed=2, differences={"wrong_state": 4})):
        results.append(result)
    report = write_report(results.latest())
    assert "| `kill` | 1 | 1,500 |" in report
    assert "No difference in 1 runs" in report
    assert (
        "| `no_replay` | Continue at the committed offset with the states of an earlier position. | `kill` | 2 "
        '| 4 wrong state | `make faults ARGS="--planted no_replay --seeds 1 --first-seed 2"` |' in report
    )
    assert "`unstable_offset_read`" not in report


def test_a_report_names_the_differences_and_claims_no_rate_then() -> None:
    report = write_report([replace(RESULT, differences={"lost": 3, "wrong_state": 1}), RESULT])
    assert "| 3 lost, 1 wrong state |" in report
    assert "4 differences in 2 runs and 3,000 records" in report
    assert "rule of three" not in report
