"""How fast states are rebuilt from the log after Redis lost everything, beside the rate of the drain before.

A worker drains a backlog; Redis is emptied; another worker of the group reads the same records again, without
publishing them.
"""

from __future__ import annotations

from typing import Any

import redis

from benchmarks.growth.bench import GrowthBench
from benchmarks.growth.progress import progress, watch
from benchmarks.pipeline.programs import OURS
from benchmarks.pipeline.records import produce
from benchmarks.pipeline.report import Column, Report
from tests import kafka_tools
from tests.workplace import Workplace, new_workplace

MIN_RATIO = 0.8  # of the rates
NUM_STREAMS = 5000
FIRST_SHARE = 0.1  # of the records, which are left out: the start of the worker and of its caches
COLUMNS = (
    Column("records", "records", "{:,}"),
    Column("records_per_s", "records/s"),
    Column("cpu_us", "CPU us a record"),
)


def measure_rebuild(bench: GrowthBench) -> Report:
    """A row for the drain, one for the rebuild, and their ratio."""
    num_records = bench.amounts.rebuild_records
    backlog = produce(bench.stack, num_records, NUM_STREAMS)
    workplace = new_workplace(bench.stack, topics=(backlog.topic,))
    outputs = [topic for topic in workplace.all_topics if topic != backlog.topic]
    kafka_tools.create_topics(bench.stack.kafka, dict.fromkeys(outputs, workplace.settings.partitions))
    drain = _row(bench, workplace, "drain", "records_total", num_records)
    redis.Redis.from_url(bench.stack.redis).flushall()
    rebuild = _row(bench, workplace, "rebuild", "rebuilt_records_total", num_records)
    kafka_tools.delete_topics(bench.stack.kafka, workplace.all_topics)
    report = Report(f"rebuild: {num_records:,} tweets of {NUM_STREAMS:,} streams", COLUMNS, [rebuild, drain])
    report.add_ratio("rebuild / drain", rebuild, drain, ("records_per_s", "cpu_us"))
    if rebuild["records_per_s"] < MIN_RATIO * drain["records_per_s"]:
        report.problems.append(f"the rebuild has less than {MIN_RATIO:.0%} of the drain's rate")
    return report


def _row(bench: GrowthBench, workplace: Workplace, name: str, counter: str, num_records: int) -> dict[str, Any]:
    with bench.workers.worker(OURS, workplace, suffix=f"-{name}") as worker:
        made = progress(watch([worker], counter, num_records), FIRST_SHARE)
        code = worker.terminate()
        assert code == 0, f"{worker.name} ended with {code}\n{worker.tail()}"
    return {"program": name, "records": num_records, **vars(made)}
