"""The queries of the dashboards work with a live worker, the files are what the code writes, and Grafana finds them."""

import json
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from deploy.dashboards.files import FOLDER as DASHBOARDS
from deploy.dashboards.files import contents
from tests.metric_names import exposed_names, names_in
from tests.system.inputs import Input, tweets
from tests.system.scene import Scene
from worker.errors import Reason
from worker.stack.prometheus import PrometheusServer, prometheus_program, scrape_config

PROJECT = Path(__file__).parents[3]
RULES = [PROJECT / "deploy" / "prometheus" / name for name in ("rules.yml", "objectives.yml")]
GRAFANA = PROJECT / "deploy" / "grafana"
NAMES = ("overview", "ownership", "model", "kafka", "objectives")
RECORDED = re.compile(r"\bsentiment:[a-z_:]+\w*")
GRID_WIDTH = 24
ANSWER_TIMEOUT_S = 30.0
WAIT_TIMEOUT_S = 300.0
POLL_S = 0.5

# The metrics that the dashboards must show.
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
    "sentiment_fallbacks_total",
    "sentiment_shifts_total",
    "sentiment_fenced_total",
    "sentiment_rebuilt_records_total",
    "sentiment_state_resets_total",
    "sentiment_score_bucket",
    "sentiment_ready",
    "sentiment_confidence_bucket",
    "sentiment_rebalances_total",
    "sentiment_log_changes_total",
    "sentiment_model_info",
    "sentiment_not_understood_total",
    "sentiment_languages_total",
}

# The queries that `_a_bit_of_everything` must make true.
HAPPENED = [
    'increase(sentiment_records_total{outcome="erased"}[10m]) > 0',
    'increase(sentiment_dead_letters_total{reason="invalid_json"}[10m]) > 0',
    "increase(sentiment_shifts_total[10m]) > 0",
]


class Query(NamedTuple):
    dashboard: str
    panel: str
    expression: str


def panels(name: str) -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = json.loads((DASHBOARDS / f"sentiment-{name}.json").read_text())["panels"]
    return loaded


def all_panels() -> list[dict[str, Any]]:
    return [panel for name in NAMES for panel in panels(name)]


def dashboard_queries(interval: str = "30s") -> list[Query]:
    """Every query of the dashboards as PromQL, with `interval` in place of Grafana's rate interval."""
    return [
        Query(name, panel["title"], target["expr"].replace("$__rate_interval", interval))
        for name in NAMES
        for panel in panels(name)
        for target in panel["targets"]
    ]


def rules(kind: str) -> list[str]:
    """The names of the alerts or records, in the order of the files."""
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule[kind] for group in groups for rule in group["rules"] if kind in rule]


@pytest.mark.parametrize(
    "query", dashboard_queries(), ids=lambda query: f"{query.dashboard}, {query.panel}: {query.expression}"
)
def test_a_query_uses_metrics_that_the_worker_exposes_and_leaves_no_variable_unset(query):
    asked, recorded = names_in(query.expression), set(RECORDED.findall(query.expression))
    assert asked or recorded
    assert asked <= exposed_names()
    assert recorded <= set(rules("record"))
    assert "$" not in query.expression


def test_the_files_are_what_the_code_writes():
    assert {path.name: path.read_text() for path in DASHBOARDS.iterdir()} == contents()
    assert sorted(contents()) == sorted(f"sentiment-{name}.json" for name in NAMES)


def test_the_dashboards_show_the_key_metrics():
    shown = set().union(*(names_in(query.expression) for query in dashboard_queries()))
    assert SHOWN - shown == set()


def test_the_panel_of_latencies_alone_shows_exemplars():
    shown = [
        (panel["title"], names_in(target["expr"]))
        for panel in all_panels()
        for target in panel["targets"]
        if target.get("exemplar")
    ]
    assert shown == [("End to end", {"sentiment_end_to_end_seconds_bucket"})]
    service = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]["prometheus"]
    assert "--enable-feature=exemplar-storage" in service["command"]


def test_every_panel_has_a_title_a_description_a_unit_and_the_provisioned_data_source():
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    for panel in all_panels():
        assert panel["title"] and panel["description"]
        assert panel["type"] == "heatmap" or panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"] == {"type": source["type"], "uid": source["uid"]}


@pytest.mark.parametrize("name", NAMES)
def test_panels_do_not_overlap_and_stay_within_the_grid(name):
    taken: dict[tuple[int, int], str] = {}
    for panel in panels(name):
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= GRID_WIDTH
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
    assert len({panel["id"] for panel in panels(name)}) == len(panels(name))


def test_the_dashboards_are_mounted_where_grafanas_provider_looks_for_it():
    service = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]["grafana"]
    mounts = dict(volume.split(":")[:2] for volume in service["volumes"])
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/sentiment.yml").read_text())["providers"]
    assert mounts["./deploy/grafana/dashboards"] == provider["options"]["path"]
    assert mounts["./deploy/grafana/provisioning"] == "/etc/grafana/provisioning"


def test_every_query_and_alert_rule_works_on_a_prometheus_that_scrapes_a_live_worker(
    scene: Scene, tmp_path: Path
) -> None:
    if prometheus_program() is None:
        pytest.skip("prometheus is not on the PATH")
    worker = scene.start_worker()
    with PrometheusServer(tmp_path, _watch(worker.address, tmp_path / "prometheus.yml")) as prometheus:
        # a rate only counts what happens after the first scrape
        _wait_for(lambda: [] if _numbers(prometheus, "sum(sentiment_ready) > 0") else ["a scrape"])
        scene.send(_a_bit_of_everything())
        scene.wait_until_done()
        queries = [query.expression for query in dashboard_queries("10m")] + HAPPENED
        _wait_for(lambda: [query for query in queries if not _numbers(prometheus, query)])
        _wait_for(lambda: [rule for rule in _evaluated_rules(prometheus) if rule["health"] == "unknown"])
        evaluated = _evaluated_rules(prometheus)
    assert {rule["name"]: rule.get("lastError") for rule in evaluated if rule["health"] != "ok"} == {}
    assert {rule["name"] for rule in evaluated} == {*rules("alert"), *rules("record")}
    report = scene.finish()
    assert report.exact, report


def _watch(address: str, config: Path) -> Path:
    """Write a `config` that scrapes `address` and evaluates the alert rules, both every second."""
    content = json.loads(scrape_config([address], interval_s=1))
    content["global"]["evaluation_interval"] = "1s"
    config.write_text(json.dumps(content | {"rule_files": [str(path) for path in RULES]}))
    return config


def _a_bit_of_everything() -> Iterator[Input]:
    """Texts to score, a dead letter, an erasure, and a stream whose mood turns in the eyes of the network."""
    now_ms = int(time.time() * 1000)
    yield from tweets(200, start_ms=now_ms - 400)
    yield Input("poison", None, now_ms - 200, reason=Reason.INVALID_JSON, value=b"{")
    yield Input("stream-1", None, now_ms - 199)
    for number in range(60):
        yield Input("turning", "movie" if number < 30 else "thanks", now_ms - 100 + number)


def _wait_for(find_missing: Callable[[], list[Any]]) -> None:
    """Wait until nothing is missing. Raises AssertionError with what still is."""
    deadline = time.monotonic() + WAIT_TIMEOUT_S
    while missing := find_missing():
        assert time.monotonic() < deadline, f"still missing after {WAIT_TIMEOUT_S:g} s: {missing}"
        time.sleep(POLL_S)


def _numbers(prometheus: PrometheusServer, expression: str) -> list[float]:
    """The current values of a query; empty if one is not a number. Raises HTTPError when the query is invalid."""
    found = _get(f"{prometheus.url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
    values = [float(series["value"][1]) for series in found["result"]]
    return values if all(map(isfinite, values)) else []


def _evaluated_rules(prometheus: PrometheusServer) -> list[dict[str, Any]]:
    return [rule for group in _get(f"{prometheus.url}/api/v1/rules")["groups"] for rule in group["rules"]]


def _get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=ANSWER_TIMEOUT_S) as answer:
        data: dict[str, Any] = json.load(answer)["data"]
    return data
