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

from tests.unit.docs.pages import commands_of
from worker.settings import ENV_PREFIX, Settings

PROJECT = Path(__file__).parents[3]
CHART = PROJECT / "deploy" / "helm" / "sentiment"
RULE_FILES = [PROJECT / "deploy" / "prometheus" / name for name in ("rules.yml", "objectives.yml")]
EXAMPLES = ("values.yaml", *sorted(f"ci/{path.name}" for path in (CHART / "ci").iterdir()))
# The oldest version that the chart accepts and the newest whose schemas are at hand.
KUBERNETES = ("1.27.0", "1.37.0")
# Kinds that are not Kubernetes' own: the module of Go that has their definition, and its path there.
OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.80.1", "example/prometheus-operator-crd"
DEFINITIONS = {
    "ScaledObject": ("github.com/kedacore/keda/v2@v2.17.2", "config/crd/bases/keda.sh_scaledobjects.yaml"),
    "PodMonitor": (OPERATOR[0], f"{OPERATOR[1]}/monitoring.coreos.com_podmonitors.yaml"),
    "PrometheusRule": (OPERATOR[0], f"{OPERATOR[1]}/monitoring.coreos.com_prometheusrules.yaml"),
}
DOWNLOAD_TIMEOUT_S = 300
PODS = ("StatefulSet", "Deployment", "Job")


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("helm")
    assert program, "helm is not on the PATH: make deploy-test installs it"
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)


@cache
def render(example: str, *more: str, kubernetes: str = KUBERNETES[-1]) -> list[dict[str, Any]]:
    """The resources of an example; `more` are values as `--set` takes them. Raises AssertionError with the message."""
    sets = [argument for value in more for argument in ("--set", value)]
    options = ("--kube-version", kubernetes, "--namespace", "streams", "-f", str(CHART / example), *sets)
    done = helm("template", "mood", str(CHART), *options)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def of_kind(kind: str, example: str = "values.yaml", *more: str) -> list[dict[str, Any]]:
    return [document for document in render(example, *more) if document["kind"] == kind]


def containers(example: str) -> list[dict[str, Any]]:
    pods = [document["spec"]["template"]["spec"] for kind in PODS for document in of_kind(kind, example)]
    return [container for pod in pods for container in pod["containers"]]


def environment(container: dict[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container["env"] if "value" in variable}


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


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_container_has_no_rights_and_no_file_system_to_write_to(example):
    for container in containers(example):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]
        assert not container["image"].endswith((":latest", ":"))
    for kind in PODS:
        for document in of_kind(kind, example):
            pod = document["spec"]["template"]["spec"]
            assert pod["automountServiceAccountToken"] is False
            assert pod["securityContext"]["runAsNonRoot"] is True
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


@pytest.mark.parametrize("example", [example for example in EXAMPLES if "secure" not in example])
def test_the_worker_accepts_the_settings_that_the_pods_give_it(example, monkeypatch):
    for container in containers(example):
        for name, value in environment(container).items():
            monkeypatch.setenv(name, value)
        settings = Settings()
        assert settings.kafka == "kafka:9092"
        assert settings.session_timeout_s == 45
        for name in environment(container):
            monkeypatch.delenv(name)


def test_the_image_listens_where_the_probes_and_the_monitor_look():
    (worker,) = of_kind("StatefulSet")[0]["spec"]["template"]["spec"]["containers"]
    (port,) = worker["ports"]
    assert port["containerPort"] == Settings().health_port
    assert f"{ENV_PREFIX}HEALTH_HOST=0.0.0.0" in (PROJECT / "deploy" / "Dockerfile").read_text()
    paths = {name: worker[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert paths == {
        "startup": {"path": "/live", "port": port["name"]},
        "liveness": {"path": "/live", "port": port["name"]},
        "readiness": {"path": "/ready", "port": port["name"]},
    }
    for monitor in of_kind("PodMonitor", "ci/secure-values.yaml"):
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        assert (endpoint["port"], endpoint["path"]) == (port["name"], "/metrics")


def test_each_pod_is_a_static_member_under_its_own_name_and_drains_before_it_is_killed():
    (workers,) = of_kind("StatefulSet")
    pod = workers["spec"]["template"]["spec"]
    (instance,) = [each for each in pod["containers"][0]["env"] if each["name"] == f"{ENV_PREFIX}INSTANCE_ID"]
    assert instance["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    settings = Settings()
    drain_s = settings.revoke_timeout_s + settings.commit_timeout_s + 2 * settings.request_timeout_s
    assert pod["terminationGracePeriodSeconds"] > drain_s
    (budget,) = of_kind("PodDisruptionBudget")
    assert budget["spec"]["selector"]["matchLabels"] == workers["spec"]["selector"]["matchLabels"]


def test_secrets_are_referred_to_and_never_rendered():
    (worker, topics) = containers("ci/secure-values.yaml")
    for container in (worker, topics):
        secrets = {
            each["name"]: each["valueFrom"] for each in container["env"] if "secretKeyRef" in each.get("valueFrom", {})
        }
        assert secrets == {
            f"{ENV_PREFIX}KAFKA_PASSWORD": {"secretKeyRef": {"name": "sentiment-kafka", "key": "password"}},
            f"{ENV_PREFIX}REDIS_PASSWORD": {"secretKeyRef": {"name": "sentiment-redis", "key": "password"}},
        }
    assert of_kind("Secret", "ci/secure-values.yaml") == []


def test_workers_get_the_variables_of_opentelemetry_beside_their_settings():
    worker, topics = map(environment, containers("ci/secure-values.yaml"))
    assert (worker[f"{ENV_PREFIX}TRACES"], worker["OTEL_EXPORTER_OTLP_ENDPOINT"]) == ("otlp", "http://collector:4318")
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in topics


def test_a_gpu_worker_has_its_image_its_device_and_its_gpu():
    (workers,) = of_kind("StatefulSet", "ci/gpu-values.yaml")
    pod = workers["spec"]["template"]["spec"]
    (worker,) = pod["containers"]
    assert worker["image"].startswith("streaming-sentiment-gpu:")
    assert environment(worker)[f"{ENV_PREFIX}DEVICE"] == "cuda"
    assert worker["resources"]["limits"] == {"memory": "4Gi", "nvidia.com/gpu": 1}
    assert {toleration["key"] for toleration in pod["tolerations"]} == {"dedicated", "nvidia.com/gpu"}


def test_a_shadow_is_the_workers_pod_with_its_own_model_and_is_neither_selected_nor_counted_as_one_of_them():
    example = "ci/shadow-values.yaml"
    (workers,), (shadow,) = of_kind("StatefulSet", example), of_kind("Deployment", example)
    labels = shadow["spec"]["template"]["metadata"]["labels"]
    assert shadow["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert not workers["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert not of_kind("PodDisruptionBudget", example)[0]["spec"]["selector"]["matchLabels"].items() <= labels.items()
    pods = [document["spec"]["template"]["spec"] for document in (workers, shadow)]
    ((worker,), (beside,)) = (pod["containers"] for pod in pods)
    assert (worker["args"], beside["args"]) == (["worker"], ["worker", "--shadow"])
    assert (worker["image"].rpartition(":")[0], "1.1.0") == tuple(beside["image"].rsplit(":", 1))
    given, own = environment(worker), environment(beside)
    assert own == given | {f"{ENV_PREFIX}CHECKPOINT": "/models/new", f"{ENV_PREFIX}LOG_LEVEL": "warning"}
    # A member of its group without a name of its own: its pods have another one after each restart.
    assert f"{ENV_PREFIX}INSTANCE_ID" not in {variable["name"] for variable in beside["env"]}
    for part in ("securityContext", "resources", "volumeMounts", "readinessProbe"):
        assert beside[part] == worker[part]
    (job,) = of_kind("Job", example)
    containers_ = job["spec"]["template"]["spec"]["containers"]
    assert sorted(container["args"] for container in containers_) == [["topics"], ["topics", "--shadow"]]
    for kind, field in (("NetworkPolicy", "podSelector"), ("PodMonitor", "selector")):
        (document,) = of_kind(kind, example)
        (expression,) = document["spec"][field]["matchExpressions"]
        names = {"sentiment", labels["app.kubernetes.io/name"]}
        assert (expression["key"], set(expression["values"])) == ("app.kubernetes.io/name", names)
    assert of_kind("Deployment") == []


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
