"""Redis in every way in which it is run: encrypted, with users, read-only, behind Sentinels, as a cluster."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from worker.stack.redis import RedisServer, redis_program
from worker.stack.server import HOST, Server, free_port

WAIT_S = 30.0


class ConfiguredRedis(RedisServer):
    """A server with further options; several values of an option as a list. It answers on its plain port."""

    def __init__(self, folder: Path, options: Mapping[str, str | list[str]], name: str = "redis") -> None:
        super().__init__(folder / name, append_only=False)
        self._more = options

    def _options(self, data: Path) -> list[str]:
        found = super()._options(data)
        for name, values in self._more.items():
            found += [f"--{name}", *([values] if isinstance(values, str) else values)]
        return found

    def answers(self) -> bool:
        with self.client() as client:
            try:
                return bool(client.ping())
            except (redis.AuthenticationError, redis.exceptions.NoPermissionError):
                return True
            except (redis.RedisError, OSError):
                return False

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=2, retry=Retry(NoBackoff(), 0))


class SentinelServer(Server):
    """A Sentinel that watches `master` under the name mymaster."""

    def __init__(self, folder: Path, name: str, master: RedisServer) -> None:
        super().__init__(name, folder / name)
        self._master = master

    def command(self) -> list[str]:
        config = self.folder / "sentinel.conf"
        if not config.exists():
            config.write_text(
                f"port {self.port}\nbind {HOST}\ndir {self.folder}\n"
                f"sentinel monitor mymaster {HOST} {self._master.port} 2\n"
                "sentinel down-after-milliseconds mymaster 1000\n"
                "sentinel failover-timeout mymaster 5000\n"
            )
        return [redis_program(), str(config), "--sentinel"]

    def answers(self) -> bool:
        with redis.Redis(port=self.port, socket_timeout=2, retry=Retry(NoBackoff(), 0)) as client:
            try:
                return bool(client.ping())
            except (redis.RedisError, OSError):
                return False


class SentinelGroup:
    """A master, its replica, and three Sentinels."""

    def __init__(self, folder: Path) -> None:
        self.master = ConfiguredRedis(folder, {}, "master")
        replica_of = {"replicaof": [HOST, str(self.master.port)]}
        self.replica = ConfiguredRedis(folder, replica_of, "replica")
        self.sentinels = [SentinelServer(folder, f"sentinel-{number}", self.master) for number in range(3)]
        self.servers = [self.master, self.replica, *self.sentinels]

    @property
    def url(self) -> str:
        return f"redis+sentinel://{','.join(sentinel.address for sentinel in self.sentinels)}/mymaster"

    def wait_ready(self) -> None:
        """Wait until every Sentinel knows the replica and the other Sentinels."""
        for sentinel in self.sentinels:
            with redis.Redis(port=sentinel.port, decode_responses=True) as client:
                wait_until(lambda c=client: _knows_all(c))


def _knows_all(client: Any) -> bool:
    state = client.sentinel_master("mymaster")
    return int(state["num-slaves"]) == 1 and int(state["num-other-sentinels"]) == 2


class ClusterGroup:
    """Three masters that share the slots, each with a replica."""

    def __init__(self, folder: Path) -> None:
        self._bus_port = free_port()
        self.servers = [self._node(folder, number) for number in range(6)]

    def _node(self, folder: Path, number: int) -> ConfiguredRedis:
        # By default the nodes speak to each other on a port of their own choice, which may be taken.
        bus_port = self._bus_port if number == 0 else free_port()
        options = {"cluster-enabled": "yes", "cluster-node-timeout": "1500", "cluster-port": str(bus_port)}
        return ConfiguredRedis(folder, options, f"node-{number}")

    @property
    def url(self) -> str:
        return f"redis+cluster://{','.join(server.address for server in self.servers[:3])}"

    def wait_ready(self) -> None:
        """Join the nodes, deal out the slots, give each master a replica, and wait until all know it."""
        clients: list[Any] = [redis.Redis(port=server.port, decode_responses=True) for server in self.servers]
        for client in clients[1:]:
            client.execute_command("CLUSTER MEET", HOST, self.servers[0].port, self._bus_port)
        bounds = [0, 5461, 10923, 16384]
        for client, first, last in zip(clients[:3], bounds, bounds[1:], strict=False):
            client.execute_command("CLUSTER ADDSLOTSRANGE", first, last - 1)
        wait_until(lambda: all(len(client.cluster("NODES")) == 6 for client in clients))
        for replica, master in zip(clients[3:], clients[:3], strict=True):
            master_id = master.execute_command("CLUSTER MYID")
            wait_until(lambda r=replica, m=master_id: _replicates(r, m))
        wait_until(lambda: all("cluster_state:ok" in _info(client) for client in clients))
        wait_until(lambda: all(client.info("replication")["master_link_status"] == "up" for client in clients[3:]))
        for client in clients:
            client.close()


def _replicates(client: Any, master_id: str) -> bool:
    try:
        return bool(client.execute_command("CLUSTER REPLICATE", master_id))
    except redis.ResponseError:
        return False


def _info(client: Any) -> str:
    answer = client.execute_command("CLUSTER INFO")
    return "\r\n".join(f"{name}:{value}" for name, value in answer.items()) if isinstance(answer, dict) else str(answer)


@contextmanager
def running(*servers: Server) -> Iterator[None]:
    """The servers, started one after the other and killed at the end."""
    with ExitStack() as stack:
        for server in servers:
            stack.enter_context(server)
        yield


def wait_until(is_true: Any) -> None:
    """Raises TimeoutError after WAIT_S."""
    deadline = time.monotonic() + WAIT_S
    while not is_true():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.1)
