"""The arithmetic behind pauses."""

from __future__ import annotations

import pytest

from benchmarks.pipeline.pauses import longest_gaps_s, pause_row
from benchmarks.pipeline.traffic import Arrival

TIMES = {0: (1.0, 2.0, 5.0, 6.0, 9.5), 1: (1.5, 2.5, 3.0, 8.0)}
ARRIVALS = [
    Arrival(f"{partition}-{at_s}", partition, at_s)
    for at_s, partition in sorted((at_s, partition) for partition, times in TIMES.items() for at_s in times)
]


def test_the_longest_gap_of_each_partition_may_begin_before_the_span_and_end_after_it():
    assert longest_gaps_s(ARRIVALS, 4.0, 4.5) == {0: 3.0, 1: 5.0}
    assert longest_gaps_s(ARRIVALS, 5.5, 7.0) == {0: 3.5, 1: 5.0}
    assert longest_gaps_s(ARRIVALS, 1.0, 2.2) == {0: 3.0, 1: 1.0}


def test_a_row_has_the_quantiles_of_all_pauses():
    row = pause_row("its partitions", [0.1, 0.2, 0.9])
    assert (row["pauses"], row["p50_s"], row["max_s"]) == (3, 0.2, 0.9)
    assert row["p99_s"] == pytest.approx(0.886)
