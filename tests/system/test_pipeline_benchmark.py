"""A short benchmark: every program does the work that its row of the table claims. Speed is not tested."""

from pathlib import Path

import pytest

from benchmarks.pipeline.backlog import Backlog, produce
from benchmarks.pipeline.programs import PROGRAMS, ProgramResult, run
from benchmarks.pipeline.report import as_json
from tests import kafka_tools
from worker.stack import LocalStack

NUM_RECORDS = 2000
NUM_STREAMS = 100
# two kernels may differ on a text with two almost equally probable labels
MIN_SAME_LABELS = 0.998


@pytest.fixture
def backlog(stack: LocalStack):
    made = produce(stack, NUM_RECORDS, NUM_STREAMS)
    yield made
    kafka_tools.delete_topics(stack.kafka, [made.topic])


@pytest.mark.slow
def test_every_program_gives_each_record_one_event_with_the_label_of_our_worker(
    stack: LocalStack, backlog: Backlog, checkpoint: Path, tmp_path: Path
) -> None:
    rows: list[ProgramResult] = [run(stack, program, backlog, checkpoint, tmp_path) for program in PROGRAMS]
    report = {row["program"]: row for row in as_json(rows)["rows"]}
    for program in PROGRAMS:
        row = report[program.name]
        if reason := program.missing():
            assert row["skipped"] == reason
            continue
        assert (row["events"], row["records_with_an_event"]) == (NUM_RECORDS, NUM_RECORDS), program.name
        assert row["same_labels"] >= MIN_SAME_LABELS, program.name
        assert set(row["stages_ms"]) == ({"decode", "load", "score", "commit", "flush"} if program.is_ours else set())
