"""Passwords, tokens and keys are in no output: no message, traceback, log line, metric, page or list of processes."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from pydantic import SecretStr

from tests.factories.partitions import new_observers
from worker.demo.processes import PageProcess, WorkerProcess
from worker.errors import SettingsError
from worker.kafka.access.causes import kafka_away
from worker.monitoring.health import HealthServer
from worker.monitoring.logs import JsonFormatter, TextFormatter
from worker.settings import Settings, load_settings
from worker.state.causes import redis_away

MARK = "hunter2"
SECRETS = [name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)]
GIVEN: dict[str, Any] = dict.fromkeys(SECRETS, f"{MARK}-0123456789abcdef") | {
    "kafka_security": "SASL_SSL",
    "kafka_sasl_mechanism": "SCRAM-SHA-512",
    "kafka_username": "u",
    "registry_username": "u",
    "registry": "https://127.0.0.1:1",
    "redis": f"rediss+sentinel://u:{MARK}@127.0.0.1:1/master?ssl_password={MARK}",
}
PASSWORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8).map(
    lambda text: text + MARK
)
# One setting of each that is wrong beside the secrets.
WRONG: list[dict[str, Any]] = [
    {},
    {"health_port": "x"},
    {"page_token": MARK},
    {"page_token": f"{MARK} with spaces, which no token has"},
    {"topics": ""},
    {"redis_ca_file": "/no/such/file"},
    {"registry_username": None},
    {"kafka_oauth_client_id": 1.5},
    {"redis": 5},
]


def everything(error: BaseException) -> str:
    """What a traceback of the error and of all that it comes from shows."""
    return "".join(traceback.format_exception(error)) + repr(error)


def test_there_are_secrets_to_look_for() -> None:
    assert {"kafka_password", "redis_password", "registry_password", "page_token"} <= set(SECRETS)
    assert not [name for name in Settings.model_fields if "password" in name and name not in SECRETS]


def test_settings_show_no_secret() -> None:
    settings = load_settings(**GIVEN)
    assert MARK in settings.redis
    shown = f"{settings!r} {settings} {settings.model_copy()!r} {[settings]} {settings.redis_address}"
    assert MARK not in shown
    assert MARK not in settings.model_dump_json(exclude={"redis"})


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_an_error_of_settings_and_its_traceback_show_no_secret(wrong: dict[str, Any]) -> None:
    try:
        load_settings(**(GIVEN | wrong))
    except SettingsError as error:
        assert MARK not in everything(error)


@given(
    password=PASSWORDS, form=st.sampled_from(["{}@", "u:{}@", ":{}@"]), rest=st.sampled_from(["h", "h:x", "h/x", ""])
)
def test_an_address_with_a_password_is_refused_without_showing_it(password: str, form: str, rest: str) -> None:
    login = form.format(password)
    for name, scheme in (("redis", "redis://"), ("kafka", ""), ("registry", "https://"), ("prometheus", "http://")):
        try:
            load_settings(**{name: f"{scheme}{login}{rest}"})
        except SettingsError as error:
            assert MARK not in everything(error)


def test_a_server_that_is_away_is_named_without_a_secret() -> None:
    settings = load_settings(**GIVEN)
    for away in (kafka_away, redis_away):
        assert MARK not in everything(away(settings, ConnectionError("refused")))


def test_metrics_and_health_show_no_secret() -> None:
    metrics, health, *_ = new_observers()
    settings = load_settings(**(GIVEN | {"health_port": 0}))

    async def ask() -> str:
        async with HealthServer(settings, health, metrics) as server:
            shown = []
            for path in ("/", "/metrics", "/live", "/ready", "/settings", "/debug"):
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
                shown.append((await reader.read()).decode())
                writer.close()
            return "".join(shown)

    assert MARK not in asyncio.run(ask()) + generate_latest(metrics.registry).decode()


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()], ids=["text", "json"])
def test_a_log_line_about_settings_shows_no_secret(formatter: logging.Formatter) -> None:
    settings = load_settings(**GIVEN)
    info = (ValueError, ValueError(settings), None)
    line = formatter.format(logging.LogRecord("worker", logging.ERROR, "", 0, "%s of %r", (settings, [settings]), info))
    assert "SecretStr" in line
    assert MARK not in line


def test_processes_that_a_demo_starts_get_secrets_by_their_environment_alone(tmp_path: Path) -> None:
    settings = load_settings(**GIVEN)
    for process in (WorkerProcess(tmp_path, settings), PageProcess(tmp_path, settings, tmp_path / "control")):
        assert MARK not in " ".join(process.command())
        assert process.environment()["SENTIMENT_KAFKA_PASSWORD"].startswith(MARK)


def as_environment() -> dict[str, str]:
    return {f"SENTIMENT_{name.upper()}": str(value) for name, value in GIVEN.items()}


@pytest.fixture(params=["environment", "file"])
def variables(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[dict[str, str], list[str]]]:
    """The secrets as variables, or in a file that an argument names; no server is there."""
    quick = {"SENTIMENT_REQUEST_TIMEOUT_S": "0.2", "SENTIMENT_KAFKA": "127.0.0.1:1"}
    if request.param == "environment":
        yield os.environ | as_environment() | quick, []
        return
    file = tmp_path / "sentiment.toml"
    file.write_text("".join(f'{name} = "{value}"\n' for name, value in GIVEN.items()))
    yield os.environ | quick, ["--config", str(file)]


@pytest.mark.parametrize("command", [("check",), ("worker", "--log-level", "debug"), ("tail", "--log-level", "debug")])
def test_a_command_without_its_servers_prints_no_secret(
    variables: tuple[dict[str, str], list[str]], command: tuple[str, ...]
) -> None:
    environment, arguments = variables
    line = [sys.executable, "-m", "worker.cli", *command, *arguments]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode != 0
    assert done.stderr + done.stdout
    assert MARK not in done.stdout + done.stderr


def test_a_secret_is_a_secret_of_pydantic() -> None:
    assert isinstance(load_settings(**GIVEN).kafka_password, SecretStr)
