"""Quantiles of a histogram on /metrics, as Prometheus would compute them."""

from __future__ import annotations

import urllib.request
from collections import defaultdict

from prometheus_client.parser import text_string_to_metric_families

ANSWER_TIMEOUT_S = 2.0
STAGES = "sentiment_stage_seconds"
FLUSH = "sentiment_flush_seconds"

Buckets = list[tuple[float, float]]


def read_metrics(address: str) -> str | None:
    """/metrics of the worker at host:port; None where nobody answers."""
    try:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=ANSWER_TIMEOUT_S) as answer:
            return str(answer.read().decode())
    except OSError:
        return None


def stage_times_ms(metrics: str) -> dict[str, tuple[float, float]]:
    """p50 and p99 of each step of a micro-batch, in ms, and of a flush."""
    found: dict[str, Buckets] = defaultdict(list)
    for family in text_string_to_metric_families(metrics):
        if family.name in {STAGES, FLUSH}:
            for sample in family.samples:
                if sample.name.endswith("_bucket"):
                    found[sample.labels.get("stage", "flush")].append((float(sample.labels["le"]), sample.value))
    return {stage: (1000 * quantile(0.5, buckets), 1000 * quantile(0.99, buckets)) for stage, buckets in found.items()}


def quantile(share: float, buckets: Buckets) -> float:
    """Linear within the bucket that holds it; the highest finite bound where it lies beyond. NaN without any value.

    buckets: (upper bound, values up to it), cumulative, ascending, the last bound infinite.
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
