"""The servers of one stack, which start and end together."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar, Self

from worker.settings import ENV_PREFIX
from worker.stack.jars import kafka_jars
from worker.stack.kafka import KafkaBroker, kafka_cluster
from worker.stack.prometheus import PrometheusServer, prometheus_program, scrape_config
from worker.stack.redis import RedisServer
from worker.stack.server import Server

WORKER_METRICS = "127.0.0.1:6066"


class LocalStack:
    """Kafka (`num_brokers` nodes), Redis and, if requested and installed, Prometheus, in a temporary folder.

    brokers, redis_server and prometheus_server are the servers; kafka, redis and prometheus are their addresses.
    With `append_only`, Redis keeps its data when it is killed. `kafka_options` override properties of every broker.
    Entering starts all servers and waits until they answer. It raises DependencyError when a program is missing or a
    server does not start, and then leaves nothing running.
    """

    broker_type: ClassVar[type[KafkaBroker]] = KafkaBroker
    redis_type: ClassVar[type[RedisServer]] = RedisServer

    def __init__(
        self,
        num_brokers: int = 1,
        prometheus: bool = False,
        append_only: bool = False,
        kafka_options: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sentiment-stack-"))
        self.brokers: list[KafkaBroker] = kafka_cluster(self.folder, num_brokers, self.broker_type, kafka_options)
        self.redis_server = self.redis_type(self.folder / "redis", append_only=append_only)
        self.prometheus_server: PrometheusServer | None = None
        if prometheus and prometheus_program():
            self.prometheus_server = self._prometheus()

    @property
    def kafka(self) -> str:
        """Bootstrap servers: host:port, comma-separated."""
        return ",".join(broker.address for broker in self.brokers)

    @property
    def redis(self) -> str:
        """URL of the Redis server."""
        return self.redis_server.url

    @property
    def prometheus(self) -> str | None:
        """Base URL of Prometheus; None when the stack has none."""
        return self.prometheus_server.url if self.prometheus_server else None

    def environment(self) -> dict[str, str]:
        """The environment variables that point every command at this stack."""
        addresses = {"KAFKA": self.kafka, "REDIS": self.redis, "PROMETHEUS": self.prometheus}
        return {ENV_PREFIX + name: address for name, address in addresses.items() if address}

    def start_prometheus(self, config: Path | None = None) -> str:
        """Start Prometheus and return its URL. Default `config`: scrape a worker at its default address."""
        self.prometheus_server = self._prometheus(config)
        self.prometheus_server.start()
        return self.prometheus_server.url

    def _prometheus(self, config: Path | None = None) -> PrometheusServer:
        folder = self.folder / "prometheus"
        folder.mkdir(exist_ok=True)
        if config is None:
            config = folder / "prometheus.yml"
            config.write_text(scrape_config([WORKER_METRICS]))
        return PrometheusServer(folder, config)

    @property
    def servers(self) -> list[Server]:
        """All servers of the stack."""
        others = [self.prometheus_server] if self.prometheus_server else []
        return [*self.brokers, self.redis_server, *others]

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            self.fetch()
            self._for_all(lambda server: server.start())
            undo.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def fetch(self) -> None:
        """Download what the first start on a machine needs, in the calling thread so that Ctrl-C interrupts it."""
        kafka_jars()

    def close(self) -> None:
        """Kill every server, because its data is deleted anyway, and remove the folder."""
        self._for_all(lambda server: server.kill())
        shutil.rmtree(self.folder)

    def _for_all(self, action: Callable[[Server], None]) -> None:
        servers = self.servers
        with ThreadPoolExecutor(len(servers)) as pool:
            list(pool.map(action, servers))
