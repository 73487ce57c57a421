"""What more owned partitions cost our worker at the same rate."""

from __future__ import annotations

from benchmarks.pipeline.bench import Bench
from benchmarks.pipeline.measurements.paced import COLUMNS, COSTS, LATENCIES, paced_row, warm_up
from benchmarks.pipeline.programs import OURS
from benchmarks.pipeline.report import Report


def measure_partitions(bench: Bench) -> Report:
    """A row for each number of partitions, and the ratios of all others to the first."""
    amounts = bench.amounts
    columns = [column for column in COLUMNS if column.key != "broker_net_us"]
    report = Report(f"partitions: {amounts.rate:g} records/s for {amounts.seconds:g} s each", columns, [])
    warm_up(bench, OURS, amounts.partition_counts[0])
    for number in amounts.partition_counts:
        row = paced_row(bench, OURS, amounts.seconds, number, report.problems)
        report.rows.append(row | {"program": f"{number} partitions"})
    first = report.rows[0]
    for row in report.rows[1:]:
        name = f"{row['partitions']} / {first['partitions']} partitions"
        report.add_ratio(name, row, first, (*LATENCIES, *COSTS))
    return report
