"""Names of metrics: those that a worker exposes, and those that a query uses."""

import re

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from worker.monitoring.metrics import Metrics

_NAME = re.compile(r"\b(?:sentiment|process)_[a-z_]+\b")


def exposed_names() -> set[str]:
    """The name of every series on a worker's /metrics."""
    metrics = Metrics(["tweets"])
    metrics.lag("tweets", 0, 0)
    metrics.model("default", "0123456789abcdef", ["en"])
    families = text_string_to_metric_families(generate_latest(metrics.registry).decode())
    return {sample.name for family in families for sample in family.samples}


def names_in(query: str) -> set[str]:
    """The worker's metrics in a PromQL query."""
    return set(_NAME.findall(query))


def value_of(metrics: Metrics, name: str, **labels: str) -> float | None:
    """The current value of one series."""
    return metrics.registry.get_sample_value(name, labels)
