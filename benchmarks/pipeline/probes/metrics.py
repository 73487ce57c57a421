"""What a worker's /metrics say of its micro-batches: how many there were, and the times of their steps."""

from __future__ import annotations

import urllib.request
from collections import defaultdict
from typing import NamedTuple

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

ANSWER_TIMEOUT_S = 2.0
STAGES = "sentiment_stage_seconds"
FLUSH = "sentiment_flush_seconds"
BATCHES = "sentiment_batch_records"
LAG = "sentiment_lag_records"

Buckets = list[tuple[float, float]]  # upper bound, number of values up to it


class Batches(NamedTuple):
    """The number of micro-batches, and of the records in them."""

    num_batches: int
    num_records: int


def read_metrics(address: str) -> str | None:
    """The text of /metrics of the worker at host:port, or None if nobody answers."""
    try:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=ANSWER_TIMEOUT_S) as answer:
            return str(answer.read().decode())
    except OSError:
        return None


def batches(metrics: str) -> Batches:
    """The micro-batches since the worker's start."""
    found = {sample.name: sample.value for family in _families(metrics, BATCHES) for sample in family.samples}
    return Batches(int(found[f"{BATCHES}_count"]), int(found[f"{BATCHES}_sum"]))


def owned_partitions(metrics: str) -> set[int]:
    """The partitions whose lag the worker reports: those that it owns, of every topic."""
    return {int(sample.labels["partition"]) for family in _families(metrics, LAG) for sample in family.samples}


def stage_times_ms(metrics: str) -> dict[str, tuple[float, float]]:
    """Step of a micro-batch, or flush -> p50 and p99 of its time in ms."""
    found: dict[str, Buckets] = defaultdict(list)
    for family in _families(metrics, STAGES, FLUSH):
        for sample in family.samples:
            if sample.name.endswith("_bucket"):
                found[sample.labels.get("stage", "flush")].append((float(sample.labels["le"]), sample.value))
    return {stage: (1000 * quantile(0.5, buckets), 1000 * quantile(0.99, buckets)) for stage, buckets in found.items()}


def _families(metrics: str, *names: str) -> list[Metric]:
    return [family for family in text_string_to_metric_families(metrics) if family.name in names]


def quantile(share: float, buckets: Buckets) -> float:
    """The quantile of a histogram, computed as Prometheus' histogram_quantile does.

    It is linear within the quantile's bucket, the highest finite bound if that bucket has none, and NaN without values.
    buckets: cumulative and ascending; the last bound is infinite.
    """
    total = buckets[-1][1]
    if total == 0:
        return float("nan")
    below_bound = below = 0.0
    for bound, count in buckets:
        if count >= share * total:
            if bound == float("inf"):
                return below_bound
            return below_bound + (bound - below_bound) * (share * total - below) / (count - below)
        below_bound, below = bound, count
    raise AssertionError("the last bucket holds every value")
