"""A distribution of latencies: its quantiles, and a histogram in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.box import SIMPLE
from rich.table import Table

BOUNDS_MS = tuple(step * 10.0**power for power in range(4) for step in (1, 1.5, 2, 3, 5, 7))[:-3]  # 1 ms to 2 s
BAR_WIDTH = 40

Histogram = list[dict[str, Any]]  # "up_to_ms" (None: no bound) and "events", ascending


def quantiles(latencies_ms: Sequence[float]) -> dict[str, float]:
    """p50, p99, p99.9 and the maximum, by the names of their columns. NaN without latencies."""
    if not latencies_ms:
        return dict.fromkeys(("p50_ms", "p99_ms", "p99_9_ms", "max_ms"), float("nan"))
    p50, p99, p99_9, longest = np.quantile(latencies_ms, (0.5, 0.99, 0.999, 1.0)).tolist()
    return {"p50_ms": p50, "p99_ms": p99, "p99_9_ms": p99_9, "max_ms": longest}


def histogram(latencies_ms: Sequence[float]) -> Histogram:
    """The number of latencies in each bucket: at most its bound, and more than the one before."""
    counts = np.bincount(np.searchsorted(BOUNDS_MS, latencies_ms), minlength=len(BOUNDS_MS) + 1).tolist()
    return [{"up_to_ms": bound, "events": count} for bound, count in zip((*BOUNDS_MS, None), counts, strict=True)]


def histogram_table(histograms: Mapping[str, Histogram]) -> Table:
    """The histograms side by side, from the first bucket in use to the last one; bars are in proportion within one."""
    table = Table(title="latencies", title_justify="left", box=SIMPLE, pad_edge=False)
    table.add_column("up to ms", justify="right")
    for name in histograms:
        table.add_column(name, justify="right")
        table.add_column("", min_width=BAR_WIDTH)
    buckets = list(zip(*histograms.values(), strict=True))
    used = [number for number, bucket in enumerate(buckets) if any(each["events"] for each in bucket)]
    for bucket in buckets[used[0] : used[-1] + 1] if used else []:
        cells = []
        for each, whole in zip(bucket, histograms.values(), strict=True):
            highest = max(other["events"] for other in whole)
            cells += [f"{each['events']:,}", "█" * -(-BAR_WIDTH * each["events"] // max(highest, 1))]
        bound = bucket[0]["up_to_ms"]
        table.add_row("more" if bound is None else f"{bound:g}", *cells)
    return table
