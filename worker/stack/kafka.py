"""Kafka in KRaft mode: every node is both broker and controller, tuned to start fast on a laptop."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from worker.stack.jars import java, kafka_jars
from worker.stack.server import HOST, Server, free_port

FORMAT_TIMEOUT_S = 180.0
ANSWER_TIMEOUT_MS = 6000
NUM_INTERNAL_PARTITIONS = 8
JVM_FLAGS = (
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "--sun-misc-unsafe-memory-access=allow",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)


def broker_properties(node_id: int, voters: str, num_brokers: int) -> dict[str, str]:
    """The properties of a broker in any cluster, without listeners and folders.

    voters: `id@host:port` of every controller, comma-separated.
    """
    replicas = str(min(3, num_brokers))
    in_sync = "2" if num_brokers >= 3 else "1"
    return {
        "process.roles": "broker,controller",
        "node.id": str(node_id),
        "controller.quorum.voters": voters,
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "auto.create.topics.enable": "false",
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replicas,
        "offsets.topic.num.partitions": str(NUM_INTERNAL_PARTITIONS),
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": str(NUM_INTERNAL_PARTITIONS),
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        "log.retention.ms": "-1",  # records carry the time of their text, which may be years ago
        "log.cleaner.dedupe.buffer.size": str(8 << 20),
        "broker.heartbeat.interval.ms": "500",
        "broker.session.timeout.ms": "4000",  # a killed broker may rejoin only after this
        "num.network.threads": "2",
        "num.io.threads": "4",
    }


class KafkaBroker(Server):
    """One broker of a cluster; see `kafka_cluster`."""

    def __init__(self, node_id: int, folder: Path, cluster_id: str, port: int | None = None) -> None:
        super().__init__(f"kafka-{node_id}", folder, port)
        self.node_id = node_id
        self.controller_port = free_port()
        self.cluster_id = cluster_id
        self.peers: list[KafkaBroker] = [self]
        self.options: Mapping[str, str] = {}

    def command(self) -> list[str]:
        """The broker's command line. The first call formats its data folder."""
        settings = self.folder / "server.properties"
        settings.write_text("".join(f"{name}={value}\n" for name, value in self._properties().items()))
        run = [str(java()), *JVM_FLAGS, "-cp", os.pathsep.join(map(str, kafka_jars()))]
        if not (self._data / "meta.properties").exists():
            self._format([*run, "kafka.tools.StorageTool", "format", "-t", self.cluster_id, "-c", str(settings)])
        return [*run, "kafka.Kafka", str(settings)]

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _properties(self) -> dict[str, str]:
        voters = ",".join(f"{peer.node_id}@{HOST}:{peer.controller_port}" for peer in self.peers)
        return broker_properties(self.node_id, voters, len(self.peers)) | {
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://{HOST}:{self.controller_port}",
            "log.dirs": str(self._data),
            **self.options,
        }

    def _format(self, command: list[str]) -> None:
        with self.log.open("ab") as output:
            completed = subprocess.run(  # noqa: S603 - a fixed program, without a shell
                command, stdout=output, stderr=subprocess.STDOUT, timeout=FORMAT_TIMEOUT_S, check=False
            )
        if completed.returncode != 0:
            raise self._failed(f"its data folder could not be formatted (code {completed.returncode})")

    def answers(self) -> bool:
        """Whether this broker describes the cluster and lists itself as unfenced."""
        try:
            socket.create_connection((HOST, self.port), timeout=ANSWER_TIMEOUT_MS / 1000).close()
            with KafkaAdminClient(
                bootstrap_servers=self.address,
                bootstrap_timeout_ms=ANSWER_TIMEOUT_MS,
                request_timeout_ms=ANSWER_TIMEOUT_MS,
            ) as admin:
                cluster = admin.describe_cluster()
        except (KafkaError, OSError):
            return False
        alive = {broker["broker_id"] for broker in cluster["brokers"] if not broker["is_fenced"]}
        return cluster["cluster_id"] == self.cluster_id and self.node_id in alive


def kafka_cluster(
    folder: Path,
    num_brokers: int,
    broker_type: type[KafkaBroker] = KafkaBroker,
    options: Mapping[str, str] | None = None,
) -> list[KafkaBroker]:
    """The brokers of one cluster, not yet started; they must be started together. `options` override properties."""
    # The fixed first byte makes the id begin with a letter: a leading "-" would make it look like an option.
    cluster_id = base64.urlsafe_b64encode(b"k" + os.urandom(15)).decode().rstrip("=")
    brokers = [broker_type(node_id, folder / f"kafka-{node_id}", cluster_id) for node_id in range(1, num_brokers + 1)]
    for broker in brokers:
        broker.peers = brokers
        broker.options = options or {}
    return brokers
