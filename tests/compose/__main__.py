"""`make compose-test`: up, scaled up and down, each container killed, down and up again; nothing is lost or twice."""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

from model.processor import baseline_fits
from tests.compose.images import is_there, make_images
from tests.compose.project import DOCKER, ROOT, Project, image_of
from tests.system.inputs import tweets
from tests.system.scene import Scene
from tests.workplace import Workplace
from worker.settings import load_settings

SERVICES = ("kafka", "redis", "topics", "worker", "prometheus")
# The table of its words is in 32 bits, so that its scores are within the oracle's bound; that of `default` is in 16.
CHECKPOINT = "en"
WAIT_TIMEOUT_S = 180.0
POLL_S = 1.0
NUM_RECORDS = 200


def main() -> None:
    """Run the scenario. Raises AssertionError with what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--make-images", action="store_true", help="make missing images of Debian's packages")
    parser.add_argument("--no-build", action="store_true", help="take the worker's image as it is")
    arguments = parser.parse_args()
    if arguments.make_images:
        make_images()
    named = Project(SENTIMENT_CHECKPOINT=CHECKPOINT)
    with named as project, tempfile.TemporaryDirectory(prefix="sentiment-compose-") as folder:
        if not arguments.no_build:
            project.compose("build", "worker", timeout_s=1800)
        services = [name for name in SERVICES if name != "prometheus" or is_there(image_of(name))]
        Run(project, services, Path(folder)).run()


class Run:
    """The scenario's steps, on a project that is not up yet."""

    def __init__(self, project: Project, services: list[str], folder: Path) -> None:
        self._project = project
        self._services = services
        addresses: dict[str, Any] = {
            "kafka": f"127.0.0.1:{project.ports['kafka']}",
            "redis": f"redis://127.0.0.1:{project.ports['redis']}/0",
        }
        settings = load_settings(**addresses)
        self._scene = Scene(Workplace(None, settings, addresses), ROOT / "model" / "checkpoints" / CHECKPOINT, folder)  # type: ignore[arg-type]
        self._seed = 0

    def run(self) -> None:
        """Every step, each followed by records that must get their events."""
        self._up(1)
        self._check("up")
        self._look_at_the_image()
        self._up(3)
        self._check("three workers")
        self._up(1)
        self._check("one worker again")
        for service in ("worker", "redis", "kafka"):
            self._kill(service)
            self._check(f"{service} was killed")
        if "prometheus" in self._services:
            self._kill("prometheus")
            self._look_at_prometheus()
        self._project.compose("down", "--timeout", "60")
        self._up(2)
        self._check("down and up again, with the volumes of before")
        self._stop()
        report = self._scene.report()
        assert report.exact, report
        print(f"{report.num_events} records, each with one event; lost 0, twice 0", flush=True)

    def _up(self, num_workers: int) -> None:
        self._project.up(*self._services, workers=num_workers)
        self._wait(lambda: self._project.num_healthy("worker") == num_workers, f"{num_workers} healthy workers")

    def _check(self, step: str) -> None:
        """Send records, and wait until they are committed and their states are in Redis."""
        self._seed += 1
        self._scene.send(tweets(NUM_RECORDS, self._seed))
        self._scene.wait_until_flushed(WAIT_TIMEOUT_S)
        print(f"{step}: ok", flush=True)

    def _kill(self, service: str) -> None:
        """SIGKILL, with records on their way where Kafka takes them; then start it again."""
        self._seed += 1
        self._scene.send(tweets(NUM_RECORDS, self._seed))
        self._project.compose("kill", "-s", "SIGKILL", service)
        self._wait(lambda: not self._project.num_healthy(service), f"{service} killed")
        self._project.compose("start", service)
        self._wait(lambda: self._project.num_healthy(service) == 1, f"{service} healthy")
        self._wait(lambda: self._project.num_healthy("worker") == 1, "a healthy worker")

    def _stop(self) -> None:
        """SIGTERM drains the workers, which then end with 0."""
        self._project.compose("stop", "--timeout", "60", "worker")
        codes = [each["State"]["ExitCode"] for each in self._project.containers("worker")]
        assert codes == [0, 0], codes

    def _look_at_the_image(self) -> None:
        """The user, the file system that cannot be written, and the tools that are not there."""
        (worker,) = self._project.containers("worker")
        tried = {
            "id -u": "10001",
            "touch /opt/x 2>/dev/null || echo refused": "refused",
            "command -v gcc cc make || echo none": "none",
            "ls /opt/sentiment/bin | grep -c '^pip'": "0",
            "python -c 'import torch' 2>/dev/null || echo none": "none",
        }
        if baseline_fits(llvm.get_host_cpu_features()):  # nothing was compiled that the image has
            tried["diff -r /opt/sentiment/kernels $NUMBA_CACHE_DIR && echo same"] = "same"
        for command, expected in tried.items():
            ran = [*DOCKER, "exec", worker["Id"], "sh", "-c", command]
            done = subprocess.run(ran, capture_output=True, text=True, check=False)
            assert done.stdout.strip() == expected, (command, done.stdout, done.stderr)
        size = subprocess.run(
            [*DOCKER, "image", "inspect", "--format", "{{.Size}}", worker["Image"]],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        print(f"the image of the worker: {int(size.stdout) / 1e6:.0f} MB", flush=True)

    def _look_at_prometheus(self) -> None:
        """It finds the worker by its name and takes the rules."""
        url = f"http://127.0.0.1:{self._project.ports['prometheus']}/api/v1"

        def ask(path: str) -> list[dict[str, object]]:
            with urllib.request.urlopen(f"{url}/{path}", timeout=10) as answer:
                found = json.load(answer)["data"]
            listed: list[dict[str, object]] = found["result"] if "result" in found else found["groups"]
            return listed

        self._wait(lambda: len(ask("query?query=sentiment_ready==1")) == 1, "Prometheus reads the worker")
        assert len(ask("rules")) == 2
        print("prometheus was killed: ok", flush=True)

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + WAIT_TIMEOUT_S
        while not self._holds(condition):
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"{what}: not after {WAIT_TIMEOUT_S:g} s\n{self._project.compose('logs', '--tail', '20')}"
                )
            time.sleep(POLL_S)

    @staticmethod
    def _holds(condition: Callable[[], bool]) -> bool:
        try:
            return condition()
        except OSError:  # a server that starts
            return False


if __name__ == "__main__":
    main()
