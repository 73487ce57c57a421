"""The upgrade from version 0.1, as docs/upgrade.md says: its image on its volumes, stopped, then today's on the same.

Both take the network `small` of version 0.1 from one folder, so that today's worker goes on with the states of the
other instead of rebuilding them.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import redis
import yaml

from tests import kafka_tools
from tests.compose.project import DOCKER, FILE, ROOT, Project, image_of
from tests.compose.steps import Steps
from tests.system.verifier import REDIS_TIMEOUT_S, positions_behind, prefixes

COMMIT = "91c78f6"  # of version 0.1
IMAGE = "sentiment-test-0.1"
SERVICES = ("kafka", "redis", "topics", "worker")
CHECKPOINT = "model/checkpoints/small"
BUILD_TIMEOUT_S = 1800.0
COMPILE_TIMEOUT_S = 600.0  # that image has no compiled kernels


def version_0_1(folder: Path, checkout: Path = ROOT) -> str | None:
    """Write version 0.1's files to `folder`; in place of them, what git says where the checkout lacks that version."""
    if shutil.which("git") is None:
        return "there is no git"
    found = subprocess.run(["git", "-C", str(checkout), "archive", COMMIT], capture_output=True, check=False)
    if found.returncode:
        return found.stderr.decode().strip()
    with tarfile.open(fileobj=io.BytesIO(found.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return None


def build(old: Path) -> None:
    """The image of version 0.1. Raises CalledProcessError when it cannot be built."""
    command = [*DOCKER, "build", "--quiet", "--tag", IMAGE, "--file", str(old / "deploy" / "Dockerfile"), str(old)]
    subprocess.run(command, stdout=subprocess.DEVNULL, timeout=BUILD_TIMEOUT_S, check=True)


class Upgrade:
    """One upgrade on volumes of its own. `old` has version 0.1's files; `folder` is for what the scenario writes."""

    def __init__(self, old: Path, folder: Path, *, killed: bool) -> None:
        name = "sentiment-test-upgrade"
        self._killed = killed
        common = {"environment": {"SENTIMENT_CHECKPOINT": "/network"}, "volumes": [f"{old / CHECKPOINT}:/network:ro"]}
        before = {
            "topics": {"image": IMAGE},
            "worker": common | {"image": IMAGE},
            "redis": {"image": image_of("redis")},
        }
        self._old = Project(name, (old / "docker-compose.yml", _override(folder / "before.yml", before)))
        after = _override(folder / "after.yml", {"worker": common})
        self._new = Project(name, (FILE, after), self._old.ports)
        self._steps = Steps(self._old, old / CHECKPOINT, folder)

    def run(self) -> None:
        """Records before, on the way, and after. Raises AssertionError where one is lost, twice, or read anew."""
        how = "SIGKILL" if self._killed else "SIGTERM"
        steps = self._steps
        with self._new:  # it has the name of the old one, whose containers and volumes it removes, too
            steps.start(*SERVICES, timeout_s=COMPILE_TIMEOUT_S)
            steps.check("version 0.1")
            lineages = self._lineages()
            assert len(lineages) > 1, lineages
            if self._killed:
                self._kill()
            else:
                steps.stop(1)
            steps.project = self._new
            steps.start(*SERVICES)
            steps.check(f"version 0.1 ended by {how}, then today's")
            assert self._lineages() == lineages, f"states were begun anew: {lineages}, now {self._lineages()}"
            steps.stop(1)
            steps.judge()

    def _kill(self) -> None:
        """SIGKILL in the midst of records."""
        steps = self._steps
        with steps.scene.feeding():
            self._old.compose("kill", "-s", "SIGKILL", "worker")
        settings = steps.workplace.settings
        num_read = sum(kafka_tools.committed(settings.kafka, settings.group).values())
        num_behind = len(positions_behind(steps.workplace, steps.scene.oracle))
        left = len(steps.scene.sent) - num_read
        assert left > 0, "the kill came after all of it"
        print(f"killed with {left} records left; {num_behind} partitions had states to write", flush=True)

    def _lineages(self) -> dict[str, bytes]:
        """The name of the states of each partition, which states that are rebuilt do not keep."""
        workplace, oracle = self._steps.workplace, self._steps.scene.oracle
        with redis.Redis.from_url(workplace.settings.redis, socket_timeout=REDIS_TIMEOUT_S) as client:
            found = {prefix: client.hget(f"{prefix}:meta", "lineage") for _, _, prefix in prefixes(workplace, oracle)}
        return {prefix: lineage for prefix, lineage in found.items() if lineage is not None}


def _override(path: Path, services: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump({"services": services}))
    return path
