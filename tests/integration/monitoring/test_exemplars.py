"""A real Prometheus keeps the traces of latencies that a worker serves."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.factories.partitions import new_observers
from worker.monitoring.health import HealthServer
from worker.monitoring.histogram import Exemplar
from worker.settings import load_settings
from worker.stack.prometheus import PrometheusServer, prometheus_program, scrape_config

QUERY = "histogram_quantile(0.5, sum by (le) (rate(sentiment_end_to_end_seconds_bucket[1m])))"
TIMEOUT_S = 60.0
POLL_S = 0.2


@pytest.mark.skipif(prometheus_program() is None, reason="no prometheus on the PATH")
def test_prometheus_asks_for_the_traces_of_latencies_and_finds_them_by_the_dashboards_query(tmp_path: Path) -> None:
    metrics, health, *_ = new_observers()
    metrics.committed("tweets", [], [0.1], [Exemplar(0.1, "1" * 32, "2" * 16)])

    async def scenario() -> list[dict[str, Any]]:
        async with HealthServer(load_settings(health_port=0), health, metrics) as worker:
            config = tmp_path / "prometheus.yml"
            config.write_text(scrape_config([f"127.0.0.1:{worker.port}"]))
            return await asyncio.to_thread(exemplars, config)

    (found,) = asyncio.run(scenario())
    assert found["labels"] == {"trace_id": "1" * 32, "span_id": "2" * 16}
    assert float(found["value"]) == 0.1


def exemplars(config: Path) -> list[dict[str, Any]]:
    """Those that the query has found, once there are any."""
    deadline = time.monotonic() + TIMEOUT_S
    with PrometheusServer(config.parent / "data", config) as prometheus:
        while True:
            asked = urlencode({"query": QUERY, "start": time.time() - 3600, "end": time.time() + 3600})
            with urllib.request.urlopen(f"{prometheus.url}/api/v1/query_exemplars?{asked}", timeout=10) as answer:
                series = json.load(answer)["data"]
            if series:
                return [exemplar for one in series for exemplar in one["exemplars"]]
            assert time.monotonic() < deadline
            time.sleep(POLL_S)
