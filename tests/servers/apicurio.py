"""A real schema registry: Apicurio's app, which keeps schemas in memory, from Maven into the cache of jgo."""

from __future__ import annotations

import tarfile
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from jgo.config import GlobalSettings
from jgo.maven import MavenContext

from worker.stack.jars import java, locked
from worker.stack.server import HOST, Server

VERSION = "3.3.3"
_DOWNLOAD_TIMEOUT_S = 300
_ANSWER_TIMEOUT_S = 10


class Apicurio(Server):
    """Listens for Confluent's interface at `url`."""

    def __init__(self, folder: Path) -> None:
        super().__init__("apicurio", folder)

    @property
    def url(self) -> str:
        """The URL for clients."""
        return f"http://{self.address}/apis/ccompat/v7"

    def command(self) -> list[str]:
        """The command line. The first call on a machine downloads the app."""
        options = ["-Xmx768m", "-XX:TieredStopAtLevel=1", f"-Dquarkus.http.host={HOST}"]
        return [str(java()), *options, f"-Dquarkus.http.port={self.port}", "-jar", str(_app() / "quarkus-run.jar")]

    def answers(self) -> bool:
        """Whether it lists its subjects."""
        try:
            with urlopen(f"{self.url}/subjects", timeout=_ANSWER_TIMEOUT_S) as response:
                return self.running and bool(response.status == HTTPStatus.OK)
        except (OSError, HTTPException):
            return False

    def ensure_answers(self) -> None:
        """Start it again, without its schemas, if it has died or hangs."""
        if not self.answers():
            self.restart()


def _app() -> Path:
    """The folder of the unpacked app."""
    cache = Path(GlobalSettings.load().repo_cache)
    context: Any = MavenContext(repo_cache=cache, timeout=_DOWNLOAD_TIMEOUT_S)
    component = context.project("io.apicurio", "apicurio-registry-app").at_version(VERSION)
    with locked(cache):
        archive = Path(component.artifact("all", "tar.gz").resolve())
        folder = archive.parent / "unpacked"
        if not folder.exists():
            beside = archive.parent / "unpacking"
            with tarfile.open(archive) as opened:
                opened.extractall(beside, filter="data")
            beside.rename(folder)
    return folder
