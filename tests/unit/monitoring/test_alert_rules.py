"""Each alert fires for its fault, not for similar situations, uses exposed metrics, and has a runbook."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.metric_names import exposed_names, names_in

PROJECT = Path(__file__).parents[3]
FOLDER = PROJECT / "deploy" / "prometheus"
RULE_FILES = ("rules.yml", "objectives.yml")
TEST_FILES = ("rules_test.yml", "objectives_test.yml")
RECORDED = re.compile(r"\bsentiment:[a-z_:]+\w*")
WINDOWS = {"Fast": (("1h", "5m", "14.4"), ("6h", "30m", "6")), "Slow": (("1d", "2h", "3"), ("3d", "6h", "1"))}
BUDGETS = {"latency": "0.01", "freshness": "0.005", "loss": "0.001"}


def rules():
    groups = [group for name in RULE_FILES for group in yaml.safe_load((FOLDER / name).read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def alerts():
    return [rule for rule in rules() if "alert" in rule]


def recorded():
    return {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}


def runbooks():
    """The text below each heading of the operators' page that names an alert."""
    page = (PROJECT / "docs" / "operate.md").read_text()
    return dict(re.findall(r"^### (Sentiment\w+)\n(.*?)(?=^#|\Z)", page, re.DOTALL | re.MULTILINE))


def alert_tests():
    """For every alert, the outcomes that its tests expect: whether it fires."""
    tests = [test for name in TEST_FILES for test in yaml.safe_load((FOLDER / name).read_text())["tests"]]
    outcomes = {}
    for case in (case for test in tests for case in test.get("alert_rule_test", [])):
        outcomes.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    return outcomes


def promtool(*arguments):
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not on the PATH")
    done = subprocess.run([program, *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_alerts_fire_for_their_faults_and_not_for_similar_situations():
    promtool("test", "rules", *TEST_FILES)


def test_prometheus_accepts_its_configuration_and_the_rules_that_it_names():
    promtool("check", "config", "prometheus.yml")


def test_every_alert_is_tested_both_ways():
    assert alert_tests() == {alert["alert"]: {True, False} for alert in alerts()}


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_uses_metrics_that_the_worker_exposes(alert):
    expressions = [alert["expr"], *(recorded()[name] for name in RECORDED.findall(alert["expr"]))]
    expressions += [recorded()[name] for expression in expressions[1:] for name in RECORDED.findall(expression)]
    asked = set().union(*map(names_in, expressions))
    assert asked or 'up{job="sentiment"}' in alert["expr"]
    assert asked <= exposed_names()


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_has_a_severity_a_summary_and_a_description(alert):
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert alert["annotations"].keys() == {"summary", "description", "runbook"}
    assert all(alert["annotations"].values())


def test_every_alert_leads_to_its_runbook_and_every_runbook_to_an_alert():
    assert [alert["annotations"]["runbook"] for alert in alerts()] == [
        f"docs/operate.md#{alert['alert'].lower()}" for alert in alerts()
    ]
    assert sorted(runbooks()) == sorted(alert["alert"] for alert in alerts())
    for name, text in runbooks().items():
        assert all(f"**{part}**" in text for part in ("Meaning", "Look", "Do")), name


@pytest.mark.parametrize("objective", BUDGETS)
@pytest.mark.parametrize("speed", WINDOWS)
def test_an_objective_is_watched_over_a_long_and_a_short_window_at_two_burn_rates(objective, speed):
    (alert,) = [each for each in alerts() if each["alert"] == f"Sentiment{objective.capitalize()}Burn{speed}"]
    budget = BUDGETS[objective]
    assert alert["expr"] == "\nor ".join(
        f"(sentiment:{objective}_errors:ratio_rate{long} > {rate} * {budget}"
        f" and sentiment:{objective}_errors:ratio_rate{short} > {rate} * {budget})"
        for long, short, rate in WINDOWS[speed]
    ).replace("\n", " ")


def test_an_error_ratio_is_recorded_alike_for_every_window():
    windows = sorted({window for pairs in WINDOWS.values() for long, short, _ in pairs for window in (long, short)})
    for objective in BUDGETS:
        name = f"sentiment:{objective}_errors:ratio_rate"
        shapes = {recorded()[name + window].replace(f"[{window}]", "[]") for window in windows}
        assert len(shapes) == 1, shapes


def test_the_workers_are_found_by_name_on_their_metrics_port():
    jobs = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    (worker,) = [job for job in jobs if job["job_name"] == "sentiment"]
    (lookup,) = worker["dns_sd_configs"]
    assert (lookup["names"], lookup["port"]) == (["worker"], 6066)
