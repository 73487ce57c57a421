"""The processes that a demo starts beside its servers: the worker and the live page."""

from __future__ import annotations

import json
import socket
import sys
import urllib.request
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from worker.errors import DependencyError, SentimentError
from worker.settings import ENV_PREFIX, Settings
from worker.stack import Server

MAX_PORT_TRIES: Final = 100
_ANSWER_TIMEOUT_S = 10.0
_PROGRAM = (sys.executable, "-m", "worker.cli")


class PageProcess(Server):
    """The process of `sentiment page`, started once it answers."""

    def __init__(self, folder: Path, settings: Settings, control: Path) -> None:
        super().__init__("page", folder, settings.page_port)
        self._settings = settings
        self._control = control

    def command(self) -> list[str]:
        """Python, which gets the settings as environment variables."""
        return [*_PROGRAM, "page", "--demo-socket", str(self._control)]

    def environment(self) -> dict[str, str]:
        """The settings, which no list of processes shows."""
        return as_variables(self._settings)

    def answers(self) -> bool:
        """Whether something listens: with a token, a page answers nobody else."""
        with socket.socket() as probe:
            return probe.connect_ex((self._settings.page_host, self.port)) == 0


class WorkerProcess(Server):
    """The process of `sentiment worker` with `settings`. It is started once /ready succeeds; its log is in `folder`."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        super().__init__("worker", folder, settings.health_port)
        self._settings = settings

    def command(self) -> list[str]:
        """Python, which gets the settings as environment variables."""
        return [*_PROGRAM, "worker"]

    def environment(self) -> dict[str, str]:
        """The settings, which no list of processes shows."""
        return as_variables(self._settings)

    def answers(self) -> bool:
        """Whether /ready succeeds."""
        try:
            with urllib.request.urlopen(f"http://{self.address}/ready", timeout=_ANSWER_TIMEOUT_S):
                return True
        except OSError:
            return False

    def start(self) -> None:
        """See Server; raises SentimentError, because the worker is not a dependency."""
        try:
            super().start()
        except DependencyError as error:
            raise SentimentError(str(error)) from error

    def check(self, expected: int | None = None) -> None:
        """Raises SentimentError, with the end of the log, unless the exit code is `expected` (None: still running)."""
        if self.exit_code != expected:
            raise SentimentError(f"the worker ended with code {self.exit_code}; the end of its log:\n{self.tail()}")


def next_free_port(host: str, first: int, what: str = "health") -> int:
    """`first`, or the next port that is free; any free port for 0. Raises SentimentError when there is none."""
    for port in range(first, first + MAX_PORT_TRIES) if first else [0]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SentimentError(f"no free port from {first} on at {host}; choose another with --{what}-port")


def as_variables(settings: Settings) -> dict[str, str]:
    """The environment variables that give another process the settings that were set in this one."""
    values = settings.model_dump(mode="json", include=settings.model_fields_set, exclude_none=True)
    secrets = {name: value for name in values if isinstance(value := getattr(settings, name), SecretStr)}
    values |= {name: value.get_secret_value() for name, value in secrets.items()}
    return {ENV_PREFIX + name.upper(): _as_text(value) for name, value in values.items()}


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(value)
    return json.dumps(value) if isinstance(value, dict) else str(value)
