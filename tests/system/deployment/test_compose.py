"""docker-compose.yml is valid, closed to other machines, limited in memory, and consistent with the settings."""

import os
import re
import shlex
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.docs.pages import command_lines, commands_of
from worker.errors import SettingsError
from worker.settings import ENV_PREFIX, Settings, load_settings

PROJECT = Path(__file__).parents[3]
COMPOSE_FILE = PROJECT / "docker-compose.yml"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text())
    return loaded["services"]


def test_docker_compose_accepts_the_file():
    command = shutil.which("docker-compose")
    if command is None:
        pytest.skip("docker-compose is not on the PATH")
    done = subprocess.run(
        [command, "--file", COMPOSE_FILE, "config", "--quiet"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("page", "command"), commands_of("docker-compose"))
def test_docker_compose_takes_the_commands_of_the_pages(services, page, command):
    """It reads options and file before it asks for an engine, which is nowhere here."""
    program = shutil.which("docker-compose")
    words = shlex.split(command)[1:]
    if program is None:
        pytest.skip("docker-compose is not on the PATH")
    done = subprocess.run(
        [program, "--file", COMPOSE_FILE, *words], env=os.environ | {"DOCKER_HOST": "tcp://127.0.0.1:1"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert re.search(r"connection refused|cannot connect", done.stderr, re.IGNORECASE), (page, done.stderr)
    # It says nothing of a profile or a service that there is not.
    profiles = {profile for service in services.values() for profile in service.get("profiles", [])}
    assert {chosen for option, chosen in pairwise(words) if option == "--profile"} <= profiles, page
    scaled = re.findall(r"--scale (\S+)=", command)
    started = re.findall(r" (?:stop|ps|up -d) ([a-z]\S*)", command)
    assert {*scaled, *started} <= services.keys(), page


def test_every_variable_before_docker_compose_on_the_pages_is_one_of_the_file():
    named = {
        name
        for _, line in command_lines()
        for before in re.findall(r"(.*)\bdocker-compose ", line)
        for name in re.findall(r"([A-Z_]+)=", before)
    }
    assert len(named) >= 3
    assert [name for name in named if f"${{{name}:-" not in COMPOSE_FILE.read_text()] == []


def test_every_port_is_published_on_loopback_only(services):
    ports = [f"{name}: {port}" for name, service in services.items() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if ": 127.0.0.1:" not in port] == []


def test_every_service_has_a_memory_limit_and_a_pinned_or_local_image(services):
    for name, service in services.items():
        assert "mem_limit" in service, name
        assert "build" in service or ":" in service["image"], name
        assert not service["image"].endswith(":latest"), name


def test_every_service_that_others_wait_for_has_a_readiness_condition(services):
    waits = [
        (name, on, wait["condition"]) for name, s in services.items() for on, wait in s.get("depends_on", {}).items()
    ]
    assert waits
    for name, on, condition in waits:
        if condition == "service_healthy":
            assert "test" in services[on]["healthcheck"], f"{name} waits for {on}"
        else:
            assert condition == "service_completed_successfully", f"{name} waits for {on}"


def test_the_project_folders_that_services_mount_exist(services):
    mounts = [volume.split(":")[0] for service in services.values() for volume in service.get("volumes", [])]
    folders = [mount for mount in mounts if mount.startswith("./")]
    assert folders
    assert [folder for folder in folders if not (PROJECT / folder).is_dir()] == []


def test_our_own_services_use_only_existing_settings(services):
    for name in ("topics", "worker", "worker-gpu", "shadow-topics", "feed"):
        given = {key.removeprefix(ENV_PREFIX).lower(): value for key, value in services[name]["environment"].items()}
        assert Settings(**given).kafka == "kafka:9092"


def test_a_shadow_runs_another_packaged_model_is_scraped_as_a_job_of_its_own_and_starts_only_where_asked_for(services):
    shadow, worker = services["shadow"], services["worker"]
    variables = dict(shadow["environment"])
    checkpoint = re.fullmatch(r"\$\{SHADOW_CHECKPOINT:-(\w+)\}", variables.pop("SENTIMENT_CHECKPOINT"))[1]
    of_worker = dict(worker["environment"])
    assert of_worker.pop("SENTIMENT_CHECKPOINT") == "${SENTIMENT_CHECKPOINT:-default}"
    assert variables == of_worker
    assert (PROJECT / "model" / "checkpoints" / checkpoint / "weights.safetensors").is_file()
    assert (shadow["command"], services["shadow-topics"]["command"]) == ("worker --shadow", "topics --shadow")
    assert shadow["profiles"] == services["shadow-topics"]["profiles"] == ["shadow"]
    config = yaml.safe_load((PROJECT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    assert [found["names"] for found in jobs["sentiment-shadow"]["dns_sd_configs"]] == [["shadow"]]


def test_the_page_is_an_image_of_its_own_that_finds_the_worker_and_asks_for_a_token(services):
    page, content = services["page"], (PROJECT / "deploy" / "Dockerfile").read_text()
    stage = content.split("FROM base AS page")[1].partition("\nFROM ")[0]
    assert page["build"]["target"] == "page"
    assert content.rindex("FROM base AS worker") > content.index("FROM base AS page"), "the image without a target"
    variables = dict(re.findall(rf"{ENV_PREFIX}(\w+)=(\S+)", stage))
    token = re.fullmatch(r"\$\{PAGE_TOKEN:-(\S+)\}", page["environment"]["SENTIMENT_PAGE_TOKEN"])
    settings = load_settings(**{name.lower(): value for name, value in variables.items()}, page_token=token[1])
    assert (settings.page_host, settings.page_port, settings.health_host) == ("0.0.0.0", 8080, "worker")
    assert "HEALTHCHECK" in stage and "8080" in stage
    with pytest.raises(SettingsError, match="page_token"):
        load_settings(page_host=settings.page_host)


def test_the_worker_has_time_to_drain_before_it_is_killed(services):
    settings = Settings()
    grace_s = float(services["worker"]["stop_grace_period"].removesuffix("s"))
    assert grace_s > settings.revoke_timeout_s + settings.commit_timeout_s + 2 * settings.request_timeout_s


def test_redis_is_configured_never_to_evict(services):
    assert "--maxmemory-policy noeviction" in services["redis"]["command"]
    assert "--appendonly yes" in services["redis"]["command"]


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.gpu"])
def test_an_image_is_pinned_runs_without_rights_and_is_asked_for_its_health(name):
    content = (PROJECT / "deploy" / name).read_text()
    assert "ARG PYTHON=python:3.11." in content
    final = content.rpartition("FROM ${PYTHON}")[2]
    assert "USER 10001:10001" in final
    assert "HEALTHCHECK" in final and "/ready" in final
    assert "STOPSIGNAL SIGTERM" in final
    assert "pip" not in final
    for setting in re.findall(rf"{ENV_PREFIX}(\w+)=", final):
        assert setting.lower() in Settings.model_fields
