"""The pods of the Helm chart: their rights, settings, names, secrets and devices.

Runs in `make deploy-test` alone, which installs helm: pytest collects this file only where it is named.
"""

import pytest

from tests.system.deployment.chart import EXAMPLES, PODS, PROJECT, containers, environment, of_kind
from worker.settings import ENV_PREFIX, Settings


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
