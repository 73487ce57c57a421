"""A Prometheus server that runs the `prometheus` on the PATH."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from worker.errors import DependencyError
from worker.stack.server import Server

ANSWER_TIMEOUT_S = 2.0


def prometheus_program() -> str | None:
    """The path of `prometheus`; None when it is not on the PATH."""
    return shutil.which("prometheus")


def scrape_config(targets: Sequence[str], interval_s: int = 1) -> str:
    """A configuration that scrapes `/metrics` of every `host:port` in `targets`, as JSON, which is valid YAML."""
    job = {"job_name": "sentiment", "static_configs": [{"targets": list(targets)}]}
    return json.dumps({"global": {"scrape_interval": f"{interval_s}s"}, "scrape_configs": [job]})


class PrometheusServer(Server):
    """A Prometheus server with the configuration file `config`."""

    def __init__(self, folder: Path, config: Path, port: int | None = None) -> None:
        super().__init__("prometheus", folder, port)
        self.config = config

    @property
    def url(self) -> str:
        """Base URL of the HTTP interface."""
        return f"http://{self.address}"

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def command(self) -> list[str]:
        """The command line. Raises DependencyError when the program is missing."""
        program = prometheus_program()
        if program is None:
            raise DependencyError("Prometheus", "the PATH", "there is no prometheus", "Install Prometheus.")
        return [
            program,
            f"--config.file={self.config.resolve()}",
            f"--storage.tsdb.path={self._data}",
            f"--web.listen-address={self.address}",
            "--enable-feature=exemplar-storage",
        ]

    def answers(self) -> bool:
        """Whether the server on the port is ready and, judging by its data folder, is this server."""
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=ANSWER_TIMEOUT_S):  # noqa: S310 - our own server
                pass
            flags_url = f"{self.url}/api/v1/status/flags"
            with urllib.request.urlopen(flags_url, timeout=ANSWER_TIMEOUT_S) as answer:  # noqa: S310 - our own server
                flags = json.load(answer)["data"]
        except OSError:
            return False
        return bool(flags["storage.tsdb.path"] == str(self._data))
