"""A short benchmark: every program does the work that its row of the table claims. Speed is not tested."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks.growth.amounts import Amounts as GrowthAmounts
from benchmarks.growth.bench import GrowthBench
from benchmarks.growth.measurements.cutover import measure_cutover
from benchmarks.pipeline.bench import Amounts, Bench
from benchmarks.pipeline.measurements.backlog import COLUMNS as BACKLOG_COLUMNS
from benchmarks.pipeline.measurements.backlog import report as backlog_report
from benchmarks.pipeline.measurements.drain import Drained, drain
from benchmarks.pipeline.measurements.flat import measure_flat
from benchmarks.pipeline.measurements.idle import measure_idle
from benchmarks.pipeline.measurements.paced import measure_paced
from benchmarks.pipeline.measurements.partitions import measure_partitions
from benchmarks.pipeline.measurements.restart import NO_RESTART, RESTARTS, measure_restart
from benchmarks.pipeline.measurements.takeover import SPANS, measure_takeover
from benchmarks.pipeline.measurements.traces import measure_traces
from benchmarks.pipeline.programs import PROGRAMS, earlier
from benchmarks.pipeline.records import Backlog, produce
from benchmarks.pipeline.report import Report, print_report
from tests import kafka_tools
from tests.checkpoints import save_tiny_checkpoint
from tests.system.worker_process import ROOT
from worker.stack import LocalStack

NUM_RECORDS = 2000
NUM_STREAMS = 100
RATE = 100.0
SECONDS = 3.0
# two kernels may differ on a text with two almost equally probable labels
MIN_SAME_LABELS = 0.998


@pytest.fixture
def bench(stack: LocalStack, checkpoint: Path, tmp_path: Path) -> Bench:
    """Short measurements, with the tree itself as the worker before."""
    amounts = Amounts(
        records=NUM_RECORDS,
        flat_records=NUM_RECORDS,
        streams=NUM_STREAMS,
        rate=RATE,
        seconds=SECONDS,
        partitions=4,
        partition_counts=(2, 4),
        idle_s=1.0,
        kills=1,
        restarts=1,
    )
    return Bench(stack, tmp_path, checkpoint, amounts, earlier(ROOT, None), plots=tmp_path)


@pytest.fixture
def backlog(stack: LocalStack):
    made = produce(stack, NUM_RECORDS, NUM_STREAMS)
    yield made
    kafka_tools.delete_topics(stack.kafka, [made.topic])


def checked(report: Report) -> list[dict[str, Any]]:
    """The rows, each with the value of every column, in a table that can be printed."""
    assert report.problems == []
    for row in report.rows:
        missing = [column.key for column in report.columns if row.get(column.key) is None]
        assert not missing or row.get("skipped") or row["program"] == "no worker", row["program"]
    print_report(Console(width=200), report)
    return report.to_dict()["rows"]


@pytest.mark.slow
def test_every_program_gives_each_record_one_event_with_the_label_of_our_worker(bench: Bench, backlog: Backlog) -> None:
    drained: list[Drained] = [drain(bench, program, backlog) for program in PROGRAMS]
    report = {row["program"]: row for row in checked(backlog_report(drained))}
    assert {column.key for column in BACKLOG_COLUMNS} <= set(report["ours"])
    for program in PROGRAMS:
        row = report[program.name]
        if reason := program.missing():
            assert row["skipped"] == reason
            continue
        assert (row["events"], row["records_with_an_event"]) == (NUM_RECORDS, NUM_RECORDS), program.name
        assert row["same_labels"] >= MIN_SAME_LABELS, program.name
        assert set(row["stages_ms"]) == ({"decode", "load", "score", "commit", "flush"} if program.is_ours else set())


@pytest.mark.slow
def test_at_a_fixed_rate_each_record_gives_one_event_and_both_workers_have_their_latencies(bench: Bench) -> None:
    report = measure_paced(bench)
    rows = checked(report)
    assert [row["program"] for row in rows] == ["ours", "before", "no worker"]
    for row in rows[:2]:
        assert row["events"] == row["records"] == pytest.approx(RATE * SECONDS, rel=0.3)
        assert 0 < sum(bucket["events"] for bucket in row["histogram"]) < row["events"], "the start is not counted"
        assert 0 < row["p50_ms"] <= row["p99_ms"] <= row["p99_9_ms"] <= row["max_ms"]
        assert row["connections"] >= 1
        assert row["batches"] >= 1
    assert rows[2]["events"] == rows[2]["records"]
    [ratio] = report.ratios
    assert ratio.name == "ours / before"
    assert {"p50_ms", "worker_cpu_us", "broker_cpu_us", "rss_bytes", "connections"} <= set(ratio.ratios)
    if bench.plots:
        assert "<svg" in (bench.plots / "latency.svg").read_text()


@pytest.mark.slow
def test_each_number_of_partitions_is_compared_with_the_first(bench: Bench) -> None:
    report = measure_partitions(bench)
    rows = checked(report)
    assert [row["partitions"] for row in rows] == [2, 4]
    assert all(row["events"] == row["records"] for row in rows)
    assert [ratio.name for ratio in report.ratios] == ["4 / 2 partitions"]


@pytest.mark.slow
def test_an_idle_worker_is_measured_beside_the_broker_alone(bench: Bench) -> None:
    rows = checked(measure_idle(bench))
    assert [row["program"] for row in rows] == ["no worker", "ours", "before"]
    assert "worker_cpu_share" not in rows[0]
    assert all(row["broker_cpu_share"] >= 0 for row in rows)


@pytest.mark.slow
def test_a_worker_killed_in_a_commit_loses_and_repeats_no_event(bench: Bench) -> None:
    rows = checked(measure_takeover(replace(bench, before=None)))
    assert [row["span"] for row in rows] == list(SPANS)
    for row in rows:
        assert row["kills"] == len(row["spans_s"]) == 1
        assert row["kills_mid_commit"] == 1


@pytest.mark.slow
def test_workers_that_are_restarted_one_by_one_lose_and_repeat_no_event_and_each_partition_has_its_pause(
    bench: Bench,
) -> None:
    rows = checked(measure_restart(bench))
    of_each = [f"{name}: {whose}" for name in RESTARTS for whose in ("its partitions", "those of the other")]
    assert {row["program"] for row in rows} == {NO_RESTART, *of_each}
    for row in rows:
        assert 0 < row["p50_s"] <= row["p99_s"] <= row["max_s"]
        num_partitions = 4 * bench.amounts.partitions if row["program"] == NO_RESTART else bench.amounts.partitions
        assert row["pauses"] == len(row["pauses_s"]) == num_partitions


@pytest.mark.slow
def test_a_model_that_is_changed_and_changed_back_gives_each_record_one_event_and_each_partition_its_pauses(
    bench: Bench, tmp_path: Path
) -> None:
    new = save_tiny_checkpoint(tmp_path / "new", seed=2)
    amounts = GrowthAmounts(cutover_streams=(1000,), cutovers=2)
    growth = GrowthBench(bench.stack, tmp_path, bench.checkpoint, amounts, new)
    [row] = checked(measure_cutover(growth))
    assert row["pauses"] == len(row["pauses_s"]) == 2 * growth.workers.amounts.partitions
    assert 0 < row["p50_s"] <= row["p99_s"] <= row["max_s"]


@pytest.mark.slow
def test_memory_is_followed_over_the_quarters_of_a_backlog(bench: Bench) -> None:
    [row] = checked(measure_flat(bench))
    assert row["events"] == row["records"] == NUM_RECORDS
    assert row["growth"] > 0


@pytest.mark.slow
def test_traces_are_compared_with_none_on_records_with_and_without_contexts(bench: Bench) -> None:
    report = measure_traces(bench)
    off, on, other_off, other_on, again = checked(report)
    assert all(row["events"] == row["records"] == NUM_RECORDS for row in report.rows)
    assert off["spans"] == other_off["spans"] == again["spans"] == 0
    assert 0 < on["spans"] < other_on["spans"]
    assert [set(ratio.ratios) for ratio in report.ratios] == [{"records_per_s", "cpu_us"}] * 3
