"""How long the partitions of a topic were without an event."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.pipeline.report import Column
from benchmarks.pipeline.traffic import Arrival

COLUMNS = (
    Column("pauses", "pauses"),
    Column("p50_s", "p50 s", "{:.2f}"),
    Column("p99_s", "p99", "{:.2f}"),
    Column("max_s", "max", "{:.2f}"),
)


def longest_gaps_s(arrivals: Iterable[Arrival], from_s: float, to_s: float) -> dict[int, float]:
    """For each partition the longest time between two of its events that begins or ends within a span of time."""
    at_s: dict[int, list[float]] = defaultdict(list)
    for arrival in arrivals:
        at_s[arrival.partition].append(arrival.at_s)
    return {
        partition: max((after - before for before, after in pairwise(times) if after >= from_s and before <= to_s))
        for partition, times in at_s.items()
    }


def pause_row(name: str, pauses_s: Sequence[float]) -> dict[str, Any]:
    """A row for COLUMNS; JSON has each pause."""
    p50_s, p99_s = np.quantile(pauses_s, (0.5, 0.99)).tolist()
    row = {"program": name, "pauses": len(pauses_s), "p50_s": p50_s, "p99_s": p99_s, "max_s": max(pauses_s)}
    return row | {"pauses_s": list(pauses_s)}
