"""The compose file's services on the Docker engine that runs here, under a name and on ports of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from worker.stack.server import free_port

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
DOCKER = ("docker",)
PYTHON_IMAGE = re.findall(r"^ARG PYTHON=(.+)$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)[0]
PUBLISHED = ("kafka", "redis", "page", "prometheus")
# Docker's own plugin where it is there, else the older program.
_COMPOSE = ("docker-compose",) if shutil.which("docker-compose") else ("docker", "compose")


def image_of(service: str) -> str:
    """The image that a service names."""
    return str(yaml.safe_load(FILE.read_text())["services"][service]["image"])


class Project:
    """The services of the files; on leaving it, everything that it made is removed, its volumes too."""

    def __init__(
        self, name: str = "sentiment-test", files: Sequence[Path] = (FILE,), ports: Mapping[str, int] | None = None,
        **variables: str,
    ) -> None:  # fmt: skip
        """`variables` of the files, beside the ports, which are free ones unless they are given."""
        self.name = name
        self.ports = ports or {service: free_port() for service in PUBLISHED}
        self._command = [*_COMPOSE, "--project-name", name, *(part for file in files for part in ("--file", str(file)))]
        self._environment = os.environ | {f"{service.upper()}_PORT": str(port) for service, port in self.ports.items()}
        self._environment |= {"HEALTH_PORT": "16066-16075"} | variables

    def compose(self, *arguments: str, timeout_s: float = 600) -> str:
        """The output of a command. Raises CalledProcessError when it fails."""
        command = [*self._command, *arguments]
        done = subprocess.run(
            command, env=self._environment, stdout=subprocess.PIPE, text=True, timeout=timeout_s, check=True
        )
        return done.stdout

    def up(self, *services: str, workers: int = 1) -> None:
        """Start what is not up, and scale the workers."""
        self.compose("up", "--detach", "--no-build", "--scale", f"worker={workers}", *services)

    def containers(self, service: str) -> list[dict[str, Any]]:
        """What the engine knows of the containers of a service, ended ones too."""
        ids = self.compose("ps", "--quiet", service).split()
        if not ids:
            return []
        done = subprocess.run([*DOCKER, "inspect", *ids], capture_output=True, text=True, check=True)
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    def num_healthy(self, service: str) -> int:
        """The number of containers of a service whose health check succeeds."""
        states = [each["State"] for each in self.containers(service)]
        return sum(state["Running"] and state.get("Health", {}).get("Status") == "healthy" for state in states)

    def exit_codes(self, service: str) -> list[int]:
        """How the containers of a service ended."""
        return [each["State"]["ExitCode"] for each in self.containers(service)]

    def __enter__(self) -> Project:
        return self

    def __exit__(self, *_: object) -> None:
        self.compose("down", "--volumes", "--timeout", "60")
