"""A histogram that takes whole batches: that of prometheus_client takes one value per call, at about 1 us each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from threading import Lock
from time import time
from typing import NamedTuple

import numpy as np
from prometheus_client import CollectorRegistry, samples
from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.registry import Collector


class Exemplar(NamedTuple):
    """The trace of one value that is counted, for scrapers that ask for OpenMetrics."""

    value: float
    trace_id: str
    span_id: str


class BatchHistogram(Collector):
    """Cumulative buckets in the Prometheus format. `buckets` are ascending upper bounds, without infinity."""

    def __init__(self, name: str, documentation: str, buckets: Sequence[float], registry: CollectorRegistry) -> None:
        self._name, self._documentation = name, documentation
        self._bounds = np.array(buckets, np.float64)
        self._counts = np.zeros(len(buckets) + 1, np.int64)
        self._sum = 0.0
        self._exemplars: list[samples.Exemplar | None] = [None] * (len(buckets) + 1)
        self._lock = Lock()
        registry.register(self)

    def observe(self, values: Sequence[float], exemplars: Sequence[Exemplar] = ()) -> None:
        """Count each value in the first bucket whose upper bound is at least the value.

        exemplars: of some of the values; each bucket shows the last of its own.
        """
        array = np.asarray(values, np.float64)
        counts = np.bincount(np.searchsorted(self._bounds, array), minlength=len(self._counts))
        with self._lock:
            self._counts += counts
            self._sum += float(array.sum())
            for value, trace_id, span_id in exemplars:
                labels = {"trace_id": trace_id, "span_id": span_id}
                place = int(np.searchsorted(self._bounds, value))
                self._exemplars[place] = samples.Exemplar(labels, value, time())

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """The current metric family. OpenMetrics allows no sum for a histogram with negative buckets."""
        with self._lock:
            counts, total, exemplars = self._counts.cumsum().tolist(), self._sum, list(self._exemplars)
        bounds = [*map(str, self._bounds.tolist()), "+Inf"]
        yield HistogramMetricFamily(
            self._name,
            self._documentation,
            buckets=[
                (bound, count) if exemplar is None else (bound, count, exemplar)
                for bound, count, exemplar in zip(bounds, counts, exemplars, strict=True)
            ],
            sum_value=total,
        )
