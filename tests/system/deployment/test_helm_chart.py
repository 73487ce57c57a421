"""The Helm chart renders valid, closed and consistent resources from every example of its values.

Runs in `make deploy-test` alone, which installs helm: pytest collects this file only where it is named.
"""

import json
import re
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.system.deployment.chart import CHART, EXAMPLES, KUBERNETES, PROJECT, helm, of_kind, render
from tests.unit.docs.pages import commands_of
from worker.settings import Settings

RULE_FILES = [PROJECT / "deploy" / "prometheus" / name for name in ("rules.yml", "objectives.yml")]
# Kinds that are not Kubernetes' own: the module of Go that has their definition, and its path there.
OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.80.1", "example/prometheus-operator-crd"
DEFINITIONS = {
    "ScaledObject": ("github.com/kedacore/keda/v2@v2.17.2", "config/crd/bases/keda.sh_scaledobjects.yaml"),
    "PodMonitor": (OPERATOR[0], f"{OPERATOR[1]}/monitoring.coreos.com_podmonitors.yaml"),
    "PrometheusRule": (OPERATOR[0], f"{OPERATOR[1]}/monitoring.coreos.com_prometheusrules.yaml"),
}
DOWNLOAD_TIMEOUT_S = 300


@cache
def definition(kind: str) -> dict[str, Any]:
    """The schema of a custom resource, as its operator defines it."""
    module, path = DEFINITIONS[kind]
    program = shutil.which("go")
    assert program, "go, which fetches the definitions of custom resources, is not on the PATH"
    done = subprocess.run(
        [program, "mod", "download", "-json", module],
        cwd="/", capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S, check=False,
    )  # fmt: skip
    assert not done.returncode, f"{module} cannot be fetched: {done.stdout or done.stderr}"
    loaded = yaml.safe_load((Path(json.loads(done.stdout)["Dir"]) / path).read_text())
    schema: dict[str, Any] = loaded["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def closed(schema: Any) -> Any:
    """The schema with unknown fields refused, as `kubectl --validate=strict` does."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: closed(value) for name, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
    return made


@pytest.mark.parametrize("example", EXAMPLES)
def test_helm_finds_nothing_to_complain_about(example):
    done = helm("lint", "--strict", str(CHART), "-f", str(CHART / example))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kubernetes", KUBERNETES)
@pytest.mark.parametrize("example", EXAMPLES)
def test_the_resources_are_valid_in_the_oldest_and_the_newest_kubernetes(example, kubernetes):
    documents = render(example, kubernetes=kubernetes)
    own = [document for document in documents if document["kind"] not in DEFINITIONS]
    assert own
    for document in own:
        kubernetes_validate.validate(document, kubernetes.rpartition(".")[0], strict=True)


@pytest.mark.parametrize(("page", "command"), commands_of("helm"))
def test_helm_takes_the_commands_of_the_pages(page, command):
    verb, *words = shlex.split(command.replace("mine.yaml", str(CHART / "ci" / "secure-values.yaml")))[1:]
    assert verb == "install", page
    here = [str(PROJECT / word) if word.startswith("deploy/") else word for word in words]
    done = helm("template", "--kube-version", KUBERNETES[-1], *here)
    assert done.returncode == 0, done.stderr
    (repository,) = re.findall(r"image\.repository=(\S+)", command)
    assert f"image: {repository}:" in done.stdout.replace('"', "")


@pytest.mark.parametrize(("page", "command"), commands_of("kubectl"))
def test_kubectl_of_the_pages_selects_pods_by_a_label_that_they_have(page, command):
    labels = set(re.findall(r" -l (\S+)=(\S+)", command))
    (pod,) = of_kind("StatefulSet")
    assert labels <= pod["spec"]["template"]["metadata"]["labels"].items(), page


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_custom_resources_are_valid_for_their_operators(kind):
    found = [document for example in EXAMPLES for document in of_kind(kind, example)]
    assert found
    schema = closed(definition(kind)) | {"additionalProperties": True}
    schema["properties"]["metadata"] = {"type": "object"}
    for document in found:
        jsonschema.Draft7Validator(schema).validate(document)


def test_keda_scales_on_the_workers_own_lag_and_from_zero_on_that_of_kafka():
    (scaled,) = of_kind("ScaledObject", "ci/zero-values.yaml")
    (workers,) = of_kind("StatefulSet", "ci/zero-values.yaml")
    assert scaled["spec"]["scaleTargetRef"]["name"] == workers["metadata"]["name"]
    assert "replicas" not in workers["spec"]
    own, *others = scaled["spec"]["triggers"]
    assert "sentiment_lag_records" in own["metadata"]["query"]
    assert [other["metadata"]["topic"] for other in others] == list(Settings().topics)
    assert {other["metadata"]["consumerGroup"] for other in others} == {Settings().group}
    (from_one,) = of_kind("ScaledObject", "values.yaml", "keda.enabled=true")
    assert [trigger["type"] for trigger in from_one["spec"]["triggers"]] == ["prometheus"]


def test_the_rules_are_those_of_the_files_less_those_that_are_disabled():
    groups = [group for path in RULE_FILES for group in yaml.safe_load(path.read_text())["groups"]]
    (all_rules,) = of_kind("PrometheusRule", "values.yaml", "prometheusRule.enabled=true")
    assert all_rules["spec"]["groups"] == groups
    (some,) = of_kind("PrometheusRule", "ci/zero-values.yaml")
    left = {rule.get("alert") for group in some["spec"]["groups"] for rule in group["rules"]}
    gone = {rule.get("alert") for group in groups for rule in group["rules"]} - left
    assert gone == {"SentimentNoWorker", "SentimentFreshnessBurnFast", "SentimentFreshnessBurnSlow"}
    (linked,) = of_kind("PrometheusRule", "ci/secure-values.yaml")
    first = linked["spec"]["groups"][0]["rules"][0]["annotations"]
    assert first["runbook_url"] == "https://example.org/runbooks/operate.md#sentimentnoworker"


def test_the_dashboards_are_those_of_the_files():
    maps = of_kind("ConfigMap", "ci/secure-values.yaml")
    rendered = {name: json.loads(content) for each in maps for name, content in each["data"].items()}
    folder = PROJECT / "deploy" / "grafana" / "dashboards"
    assert rendered == {path.name: json.loads(path.read_text()) for path in folder.iterdir()}


def test_the_topics_are_created_before_an_installation_or_an_upgrade():
    (job,) = of_kind("Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["topics"]
    assert of_kind("Job", "ci/gpu-values.yaml") == []


@pytest.mark.parametrize(
    "wrong",
    [
        "settings.max_bach=12",
        "settings.kafka_password=secret",
        "secretSettings.kafka_pasword.name=a,secretSettings.kafka_pasword.key=b",
        "secretSettings.kafka_password.name=a",
        "image.tag=latest",
        "replicas=-1",
        "networkPolicy.egressPorts={70000}",
        "env[0].name=SENTIMENT_TRACES",
        "replica=3",
        "shadow.settings.checkpiont=new",
        "shadow.settings.kafka_password=secret",
    ],
)
def test_wrong_values_are_refused_before_anything_is_installed(wrong):
    done = helm("template", "mood", str(CHART), "--kube-version", KUBERNETES[-1], "--set", wrong)
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr
