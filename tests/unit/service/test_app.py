"""The worker put together: its Faust app, the agent, the tasks and what a start refuses."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, NoReturn

import pytest
from faust import SASLCredentials

import worker
from model import CheckpointError
from worker.errors import DependencyError, SettingsError
from worker.kafka.transport import app as batch_app_module
from worker.kafka.transport.app import BatchApp, BatchTransport
from worker.service import app as app_module
from worker.service.app import create_app
from worker.settings import load_settings


class EndedError(Exception):
    """The process would have ended."""


@pytest.fixture(autouse=True)
def ended(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Errors that ended the process."""
    errors: list[BaseException] = []

    def end(error: BaseException) -> NoReturn:
        errors.append(error)
        raise EndedError

    for module in (batch_app_module, app_module):
        monkeypatch.setattr(module, "die", end)
    return errors


def make(checkpoint: Path, **flags: Any) -> BatchApp:
    return create_app(load_settings(checkpoint=checkpoint, health_port=0, **flags))


def test_the_app_has_the_group_the_brokers_and_the_bounds_of_the_settings(tiny_checkpoint: Path) -> None:
    app = make(tiny_checkpoint, group="g", kafka="a:1, b:2", session_timeout_s=30, instance_id="one")
    assert app.conf.id == "g"
    assert [str(url) for url in app.conf.broker] == ["kafka://a:1", "kafka://b:2"]
    assert app.conf.broker_session_timeout == 30
    assert app.conf.broker_request_timeout == 31
    assert app.conf.consumer_group_instance_id == "one"
    assert app.conf.broker_credentials is None


def test_credentials_reach_the_brokers(tiny_checkpoint: Path) -> None:
    app = make(tiny_checkpoint, kafka_security="SASL_PLAINTEXT", kafka_username="user", kafka_password="secret")
    credentials = app.conf.broker_credentials
    assert isinstance(credentials, SASLCredentials)
    assert credentials.username == "user"


def test_one_agent_reads_all_input_topics_through_the_batch_transport(tiny_checkpoint: Path) -> None:
    app = make(tiny_checkpoint, topics="one,two")
    (agent,) = app.agents.values()
    assert set(agent.channel.topics) == {"one", "two"}
    assert isinstance(app.transport, BatchTransport)


def test_a_checkpoint_that_is_not_there_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        make(tmp_path / "absent")


def test_fausts_own_command_finds_the_app_of_the_environment(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTIMENT_CHECKPOINT", str(tiny_checkpoint))
    monkeypatch.setenv("SENTIMENT_GROUP", "of-the-environment")
    assert worker.app.conf.id == "of-the-environment"


def test_fausts_own_command_ends_with_what_is_wrong_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, ended: list[BaseException]
) -> None:
    def end(error: BaseException) -> NoReturn:
        ended.append(error)
        raise EndedError

    monkeypatch.setattr("worker.process.die", end)
    monkeypatch.setenv("SENTIMENT_MAX_BATCH", "0")
    with pytest.raises(EndedError):
        _ = worker.app
    assert isinstance(ended[0], SettingsError)


def test_the_package_has_no_other_name_made_on_demand() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        _ = worker.nothing


def start(app: BatchApp, preflight: Any) -> None:
    """What Faust does first, with another preflight."""
    app._preflight = preflight
    asyncio.run(app.on_first_start())


async def redis_hangs_up() -> None:
    raise DependencyError("Redis", "here", "does not answer", "Start it")


def test_a_server_that_is_away_at_the_start_ends_the_process(tiny_checkpoint: Path, ended: list[BaseException]) -> None:
    with pytest.raises(EndedError):
        start(make(tiny_checkpoint), redis_hangs_up)
    assert isinstance(ended[0], DependencyError)


def test_a_request_that_a_stop_cancelled_is_no_error(tiny_checkpoint: Path, ended: list[BaseException]) -> None:
    app = make(tiny_checkpoint)
    app._stopped.set()
    start(app, redis_hangs_up)
    assert ended == []


def test_an_unexpected_error_ends_the_process_also_while_it_stops(
    tiny_checkpoint: Path, ended: list[BaseException]
) -> None:
    async def defect() -> None:
        raise ZeroDivisionError

    app = make(tiny_checkpoint)
    app._stopped.set()
    with pytest.raises(EndedError):
        start(app, defect)
    assert isinstance(ended[0], ZeroDivisionError)


def test_an_error_in_a_task_ends_the_process(ended: list[BaseException]) -> None:
    async def defect() -> None:
        raise ZeroDivisionError

    with pytest.raises(EndedError):
        asyncio.run(app_module._or_die(defect))
    assert isinstance(ended[0], ZeroDivisionError)


def test_a_shutdown_closes_the_health_server_and_the_connections() -> None:
    closed: list[str] = []

    class Closes:
        def __init__(self, name: str) -> None:
            self.name = name

        async def close(self) -> None:
            closed.append(self.name)

    store: Any = Closes("store")
    server: Any = Closes("server")
    tracing: Any = Closes("tracing")
    asyncio.run(app_module._closing(store, server, tracing)())
    assert closed == ["server", "store", "tracing"]


def test_the_worker_gives_memory_back_again_and_again_until_it_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    class Stopping:
        should_stop = False

        async def sleep(self, duration_s: float) -> None:
            given.append(duration_s)
            self.should_stop = len(given) == 3

    monkeypatch.setattr(app_module, "give_back_memory", lambda: given.append(0.0))
    app: Any = Stopping()
    asyncio.run(app_module._give_back(app))
    assert given == [60.0, 0.0, 60.0, 0.0]
