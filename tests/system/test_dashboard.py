"""The overview dashboard: what it asks Prometheus for, and that Grafana finds it."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.metric_names import exposed_names, names_in

PROJECT = Path(__file__).parents[2]
GRAFANA = PROJECT / "deploy" / "grafana"
DASHBOARD = GRAFANA / "dashboards" / "sentiment-overview.json"
GRID_WIDTH = 24

# What the dashboard is for: each of these is seen on it.
SHOWN = {
    "sentiment_records_total",
    "sentiment_events_total",
    "sentiment_end_to_end_seconds_bucket",
    "sentiment_stage_seconds_sum",
    "sentiment_lag_records",
    "sentiment_lag_seconds",
    "sentiment_state_cache_total",
    "sentiment_flush_lag_records",
    "sentiment_dead_letters_total",
    "sentiment_shifts_total",
    "sentiment_fenced_total",
    "sentiment_rebuilt_records_total",
    "sentiment_state_resets_total",
    "sentiment_score_bucket",
    "sentiment_ready",
}


class Query(NamedTuple):
    panel: str
    expression: str


def panels() -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return loaded


def dashboard_queries(interval: str = "30s") -> list[Query]:
    """Every query of the dashboard as PromQL, with `interval` where Grafana puts the interval of its rates."""
    return [
        Query(panel["title"], target["expr"].replace("$__rate_interval", interval))
        for panel in panels()
        for target in panel["targets"]
    ]


@pytest.mark.parametrize("query", dashboard_queries(), ids=lambda query: f"{query.panel}: {query.expression}")
def test_a_query_asks_for_metrics_that_the_worker_has_and_leaves_no_variable_open(query):
    asked = names_in(query.expression)
    assert asked
    assert asked <= exposed_names()
    assert "$" not in query.expression


def test_the_dashboard_shows_what_it_is_for():
    shown = set().union(*(names_in(query.expression) for query in dashboard_queries()))
    assert SHOWN - shown == set()


def test_every_panel_says_what_it_shows_and_asks_the_provisioned_data_source():
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    for panel in panels():
        assert panel["title"] and panel["description"]
        assert panel["datasource"] == {"type": source["type"], "uid": source["uid"]}


def test_no_panel_covers_another_or_leaves_the_grid():
    taken: dict[tuple[int, int], str] = {}
    for panel in panels():
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= GRID_WIDTH
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
    assert len({panel["id"] for panel in panels()}) == len(panels())


def test_grafana_is_given_the_dashboard_where_its_provider_looks_for_it():
    service = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]["grafana"]
    mounts = dict(volume.split(":")[:2] for volume in service["volumes"])
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/sentiment.yml").read_text())["providers"]
    assert mounts["./deploy/grafana/dashboards"] == provider["options"]["path"]
    assert mounts["./deploy/grafana/provisioning"] == "/etc/grafana/provisioning"
