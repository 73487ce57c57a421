"""What a running container shows: what its image lacks, how large that is, and how soon its worker was ready."""

from __future__ import annotations

import subprocess
import time
import urllib.request
from collections.abc import Mapping
from datetime import datetime

from tests.compose.project import DOCKER, Project

READY_TIMEOUT_S = 120.0
POLL_S = 0.1


def look_inside(project: Project, service: str, expected: Mapping[str, str]) -> None:
    """Run commands in the service's container. Raises AssertionError where one prints something else."""
    (container,) = project.containers(service)
    for command, printed in expected.items():
        done = _docker("exec", container["Id"], "sh", "-c", command)
        assert done.stdout.strip() == printed, (service, command, done.stdout, done.stderr)


def size_mb(image: str) -> float:
    """The size of an image, with that which it was built from."""
    return int(_docker("image", "inspect", "--format", "{{.Size}}", image).stdout) / 1e6


def ready_after_s(project: Project) -> float:
    """Wait until the one worker says that it is ready; the seconds from its container's start until then."""
    (container,) = project.containers("worker")
    port = container["NetworkSettings"]["Ports"]["6066/tcp"][0]["HostPort"]
    started = datetime.fromisoformat(container["State"]["StartedAt"])
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not _is_ready(f"http://127.0.0.1:{port}/ready"):
        assert time.monotonic() < deadline, f"the worker is not ready after {READY_TIMEOUT_S:g} s"
        time.sleep(POLL_S)
    return datetime.now(started.tzinfo).timestamp() - started.timestamp()


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=POLL_S * 10) as answer:
            return bool(answer.status == 200)
    except OSError:  # not listening yet, or not ready
        return False


def _docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*DOCKER, *arguments], capture_output=True, text=True, check=False)
