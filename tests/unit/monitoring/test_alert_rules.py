"""Each alert rule fires for its fault, not for similar situations, and uses metrics that the worker exposes."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.metric_names import exposed_names, names_in

FOLDER = Path(__file__).parents[3] / "deploy" / "prometheus"


def alerts():
    groups = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alert_tests():
    """For every alert, the outcomes that its tests expect: whether it fires."""
    tests = yaml.safe_load((FOLDER / "rules_test.yml").read_text())["tests"]
    outcomes = {}
    for case in (case for test in tests for case in test["alert_rule_test"]):
        outcomes.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    return outcomes


def promtool(*arguments):
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not on the PATH")
    done = subprocess.run([program, *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_alerts_fire_for_their_faults_and_not_for_similar_situations():
    promtool("test", "rules", "rules_test.yml")


def test_prometheus_accepts_its_configuration_and_the_rules_that_it_names():
    promtool("check", "config", "prometheus.yml")


def test_every_alert_is_tested_both_ways():
    assert alert_tests() == {alert["alert"]: {True, False} for alert in alerts()}


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_uses_metrics_that_the_worker_exposes(alert):
    asked = names_in(alert["expr"])
    assert asked or 'up{job="sentiment"}' in alert["expr"]
    assert asked <= exposed_names()


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_has_a_severity_a_summary_and_a_description(alert):
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert alert["annotations"].keys() == {"summary", "description"}


def test_the_workers_are_found_by_name_on_their_metrics_port():
    jobs = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    (worker,) = [job for job in jobs if job["job_name"] == "sentiment"]
    (lookup,) = worker["dns_sd_configs"]
    assert (lookup["names"], lookup["port"]) == (["worker"], 6066)
