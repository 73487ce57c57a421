"""One worker as a child process, which tests start, watch, pause, stop and kill."""

from __future__ import annotations

import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.error import HTTPError

from prometheus_client.parser import text_string_to_metric_families

from worker.settings import ENV_PREFIX
from worker.stack import Server
from worker.stack.server import POLL_S

ROOT = Path(__file__).parents[2]
ENV = "/usr/bin/env"
ANSWER_TIMEOUT_S = 10.0
END_TIMEOUT_S = 180.0
PROGRAM = ("-m", "worker.cli", "worker")
SURROUNDINGS = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class WorkerProcess(Server):
    """A server that is ready when /ready says so. `environment` holds its SENTIMENT_* variables.

    Its port is its health port, and its output goes to `folder/name.log`. `start` waits until it is ready; `launch`
    does not wait, for a worker that will crash or end by itself.
    """

    def __init__(
        self, name: str, folder: Path, environment: Mapping[str, str], arguments: Sequence[str] = PROGRAM
    ) -> None:
        super().__init__(name, folder)
        self.num_starts = 0
        self._arguments = arguments
        self._environment = SURROUNDINGS | dict(environment) | {ENV_PREFIX + "HEALTH_PORT": str(self.port)}

    def command(self) -> list[str]:
        """Python run through `env`, because the launcher passes on the environment of the tests."""
        return [
            ENV,
            *(f"{name}={value}" for name, value in self._environment.items()),
            sys.executable,
            *self._arguments,
        ]

    def launch(self) -> None:
        """Start the worker without waiting until it is ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._launch()

    def _launch(self) -> None:
        self.num_starts += 1
        super()._launch()

    def clear(self, setting: str) -> None:
        """Start without this setting from now on."""
        self._environment.pop(ENV_PREFIX + setting.upper(), None)

    @property
    def stopped(self) -> bool:
        """Whether the process is suspended (SIGSTOP)."""
        return self.running and Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def answers(self) -> bool:
        """Whether /ready answers 200."""
        try:
            return bool(self._get("ready"))
        except OSError:
            return False

    def readiness(self) -> str:
        """The answer of /ready, for people."""
        try:
            return self._get("ready")
        except HTTPError as error:
            return str(error.read().decode())
        except OSError as error:
            return repr(error)

    def _get(self, path: str) -> str:
        """Raises OSError when the worker does not answer, or answers with an error status."""
        with urllib.request.urlopen(f"http://{self.address}/{path}", timeout=ANSWER_TIMEOUT_S) as answer:
            return str(answer.read().decode())

    def metrics(self) -> str:
        """The answer of /metrics. Raises OSError when the worker does not answer."""
        return self._get("metrics")

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples `sentiment_<name>` with these labels. Raises OSError when there is no answer."""
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.metrics())
            for sample in family.samples
            if sample.name == f"sentiment_{name}" and labels.items() <= sample.labels.items()
        )

    def wait_for_metric(self, name: str, least: float, timeout_s: float = END_TIMEOUT_S, **labels: str) -> None:
        """Wait until the metric is at least `least`. Raises AssertionError with the end of the log."""
        deadline = time.monotonic() + timeout_s
        value = None
        while value is None or value < least:
            assert time.monotonic() < deadline, f"sentiment_{name} is {value}, not {least}\n{self.tail()}"
            assert self.running, f"{self.name} ended with {self.exit_code}\n{self.tail()}"
            time.sleep(POLL_S)
            try:
                value = self.metric(name, **labels)
            except OSError:
                continue

    def wait_for_end(self, timeout_s: float = END_TIMEOUT_S) -> int:
        """Wait for the exit code; if negative, it is the signal. Raises AssertionError with the end of the log."""
        deadline = time.monotonic() + timeout_s
        while self.running:
            assert time.monotonic() < deadline, f"{self.name} still runs after {timeout_s:g} s\n{self.tail()}"
            time.sleep(POLL_S)
        code = self.exit_code
        assert code is not None
        return code

    def terminate(self, timeout_s: float = END_TIMEOUT_S) -> int:
        """Send SIGTERM, and wait for the exit code."""
        self._child.terminate()
        return self.wait_for_end(timeout_s)

    def output(self) -> str:
        """Everything that the worker has printed."""
        return self.log.read_text(errors="replace")
