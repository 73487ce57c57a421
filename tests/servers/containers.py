"""The stack's servers as containers, for machines with a Docker engine: `SENTIMENT_STACK=containers`.

They share the host's network, so ports, properties and readiness checks are those of the local stack. Without internet
access, set TESTCONTAINERS_RYUK_DISABLED=true, because the library's cleanup service is an image too.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from pathlib import Path
from typing import Any

from testcontainers.core.container import DockerContainer

from worker.stack import KafkaBroker, LocalStack, RedisServer, Server
from worker.stack.jars import KAFKA_VERSION
from worker.stack.server import STOP_TIMEOUT_S

KAFKA_IMAGE = f"apache/kafka:{KAFKA_VERSION}"
REDIS_IMAGE = "redis:7"


class InContainer(Server):
    """A server whose process is a container; a stopped container keeps its data."""

    _container: DockerContainer | None = None

    @abstractmethod
    def image(self) -> DockerContainer:
        """The container to start, on the host's network."""

    @property
    def _docker(self) -> Any:
        assert self._container is not None, f"{self.name} was not started"
        container = self._container.get_wrapped_container()
        container.reload()
        return container

    def _launch(self) -> None:
        if self._container is None:
            self._container = self.image().start()
        else:
            self._docker.start()

    @property
    def pid(self) -> int:
        """The process id inside the container."""
        return 1

    @property
    def exit_code(self) -> int | None:
        return None if self._docker.status in {"running", "paused"} else self._docker.attrs["State"]["ExitCode"]

    @property
    def running(self) -> bool:
        return self._container is not None and self.exit_code is None

    def stop(self) -> None:
        if self.running:
            self.resume()
            self._docker.stop(timeout=int(STOP_TIMEOUT_S))

    def kill(self) -> None:
        if self.running:
            self._docker.kill()
            self._docker.wait(timeout=STOP_TIMEOUT_S)

    def pause(self) -> None:
        self._docker.pause()

    def resume(self) -> None:
        if self._docker.status == "paused":
            self._docker.unpause()

    def tail(self) -> str:
        return str(self._docker.logs(tail=15).decode(errors="replace"))

    def remove(self) -> None:
        """Remove the container and its data."""
        if self._container is not None:
            self._container.stop()


class KafkaContainer(InContainer, KafkaBroker):
    """One broker; the image reads each property from the variable of that name."""

    def image(self) -> DockerContainer:
        container = DockerContainer(KAFKA_IMAGE).with_env("CLUSTER_ID", self.cluster_id)
        for name, value in (self._properties() | {"log.dirs": "/var/lib/kafka/data"}).items():
            container.with_env("KAFKA_" + name.upper().replace(".", "_"), value)
        return container.with_env("KAFKA_HEAP_OPTS", "-Xmx512m").with_kwargs(network_mode="host")


class RedisContainer(InContainer, RedisServer):
    """Its data folder is on the host, so that a snapshot is a copy, as in the local stack."""

    def image(self) -> DockerContainer:
        self._data.mkdir()
        container = DockerContainer(REDIS_IMAGE).with_command(["redis-server", *self._options(Path("/data"))])
        container.with_volume_mapping(str(self._data), "/data", "rw")
        return container.with_kwargs(network_mode="host", user=f"{os.getuid()}:{os.getgid()}")


class ContainerStack(LocalStack):
    """Kafka and Redis from images."""

    broker_type = KafkaContainer
    redis_type = RedisContainer

    def fetch(self) -> None:
        """Do nothing: Docker pulls an image when its first container starts."""

    def close(self) -> None:
        super().close()
        for server in self.servers:
            if isinstance(server, InContainer):
                server.remove()
