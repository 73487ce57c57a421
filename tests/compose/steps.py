"""What every scenario does with a project: bring services up, send records, kill, and wait for what follows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.compose.project import Project
from tests.system.inputs import STREAMS, tweets
from tests.system.scene import Scene
from tests.workplace import Workplace
from worker.settings import load_settings

WAIT_TIMEOUT_S = 180.0
POLL_S = 1.0
NUM_RECORDS = 200


class Steps:
    """A project that is not up yet, and everything that is sent to it, which the oracle judges in the end."""

    def __init__(self, project: Project, checkpoint: Path, folder: Path) -> None:
        self.project = project
        addresses: dict[str, Any] = {
            "kafka": f"127.0.0.1:{project.ports['kafka']}",
            "redis": f"redis://127.0.0.1:{project.ports['redis']}/0",
        }
        self.workplace = Workplace(None, load_settings(**addresses), addresses)  # type: ignore[arg-type]
        self.scene = Scene(self.workplace, checkpoint, folder)
        self._seed = 0

    def send(self, streams: Sequence[str] = STREAMS) -> None:
        """Send records of these streams, other ones each time."""
        self._seed += 1
        self.scene.send(tweets(NUM_RECORDS, self._seed, streams))

    def check(self, step: str) -> None:
        """Send records, and wait until they are committed and their states are in Redis."""
        self.send()
        self.scene.wait_until_flushed(WAIT_TIMEOUT_S)
        print(f"{step}: ok", flush=True)

    def start(self, *services: str, workers: int = 1, timeout_s: float = WAIT_TIMEOUT_S) -> None:
        """Bring the services up, and wait until so many workers are healthy."""
        self.project.up(*services, workers=workers)
        self.wait(lambda: self.project.num_healthy("worker") == workers, f"{workers} healthy workers", timeout_s)

    def stop(self, workers: int) -> None:
        """SIGTERM drains the workers, which then end with 0."""
        self.project.compose("stop", "--timeout", "60", "worker")
        codes = self.project.exit_codes("worker")
        assert codes == [0] * workers, codes

    def kill(self, service: str) -> None:
        """SIGKILL with records on their way, where Kafka takes them."""
        self.send()
        self.project.compose("kill", "-s", "SIGKILL", service)
        self.wait(lambda: not self.project.num_healthy(service), f"{service} killed")

    def kill_and_start(self, service: str) -> None:
        """Kill it, start it again, and wait until it is healthy, and a worker, too."""
        self.kill(service)
        self.project.compose("start", service)
        for name in {service: None, "worker": None}:
            self.wait(lambda name=name: self.project.num_healthy(name) == 1, f"{name} healthy")  # type: ignore[misc]

    def judge(self) -> None:
        """What the oracle says of everything that was sent. Raises AssertionError with what is lost, twice or wrong."""
        report = self.scene.report()
        assert report.exact, report
        print(f"{report.num_events} records, each with one event; lost 0, twice 0", flush=True)

    def wait(self, condition: Callable[[], bool], what: str, timeout_s: float = WAIT_TIMEOUT_S) -> None:
        """Wait until it holds. Raises AssertionError with the ends of the logs when it does not in time."""
        deadline = time.monotonic() + timeout_s
        while not self._holds(condition):
            if time.monotonic() > deadline:
                logs = self.project.compose("logs", "--tail", "20")
                raise AssertionError(f"{what}: not after {timeout_s:g} s\n{logs}")
            time.sleep(POLL_S)

    @staticmethod
    def _holds(condition: Callable[[], bool]) -> bool:
        try:
            return condition()
        except OSError:  # a server that starts
            return False
