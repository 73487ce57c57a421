"""What traces cost: our worker drains a backlog with traces off and on, whose records have trace contexts or not.

The receiver of the spans runs on the same machine. Trust ratios as far as the two rows of traces off are alike.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.pipeline.bench import Bench
from benchmarks.pipeline.measurements.drain import drain
from benchmarks.pipeline.programs import OURS
from benchmarks.pipeline.records import produce, produce_with_contexts
from benchmarks.pipeline.report import Column, Report
from tests.servers.otlp import OtlpReceiver

COLUMNS = (
    Column("events", "events", "{:,}"),
    Column("records", "of", "{:,}"),
    Column("records_per_s", "records/s"),
    Column("cpu_us", "CPU us"),
    Column("spans", "spans", "{:,}"),
)
RATIOS = ("records_per_s", "cpu_us")


def measure_traces(bench: Bench) -> Report:
    """A row for traces off and on, of records without and with a context that is sampled, and for off once more."""
    amounts = bench.amounts
    plain = produce(bench.stack, amounts.records, amounts.streams)
    with_contexts = produce_with_contexts(bench.stack, amounts.records, amounts.streams)
    off = replace(OURS, name="off")
    report = Report(f"traces: {amounts.records:,} tweets", COLUMNS, [])
    drain(bench, off, plain)
    with OtlpReceiver(bench.work_dir / "otlp") as receiver:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_url}
        on = replace(OURS, name="on", settings={"traces": "otlp"}, environment=variables)
        num_spans = 0
        for program, backlog, records in (
            (off, plain, "without contexts"),
            (on, plain, "without contexts"),
            (off, with_contexts, "sampled"),
            (on, with_contexts, "sampled"),
            (off, plain, "without contexts, again"),
        ):
            drained = drain(bench, replace(program, name=f"{program.name}, records {records}"), backlog)
            assert drained.pace is not None
            received = len(receiver.spans())
            row: dict[str, Any] = {
                "program": drained.program.name,
                "records": drained.num_records,
                "events": len(drained.events.times_ms),
                "spans": received - num_spans,
                **vars(drained.pace),
            }
            num_spans = received
            report.rows.append(row)
            report.problems += drained.problems()
    first, second, third, fourth, last = report.rows
    report.add_ratio("on / off, without contexts", second, first, RATIOS)
    report.add_ratio("on / off, sampled", fourth, third, RATIOS)
    report.add_ratio("off again / off", last, first, RATIOS)
    return report
