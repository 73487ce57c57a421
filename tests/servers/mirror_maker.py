"""MirrorMaker as `connect-mirror-maker.sh` runs it, from one cluster to another; its jars come from Maven."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from tests.servers.kafka_connect import class_path
from worker.stack.jars import java
from worker.stack.kafka import JVM_FLAGS
from worker.stack.server import HOST, Server

FIRST, SECOND = "first", "second"
_ANSWER_TIMEOUT_MS = 6000
# docs/operate.md says what those of them are for that an operator must set; the others make it quick.
PROPERTIES = {
    "clusters": f"{FIRST}, {SECOND}",
    f"{FIRST}->{SECOND}.enabled": "true",
    "replication.policy.class": "org.apache.kafka.connect.mirror.IdentityReplicationPolicy",
    f"{FIRST}->{SECOND}.consumer.isolation.level": "read_committed",
    "sync.group.offsets.enabled": "true",
    "sync.group.offsets.interval.seconds": "1",
    "emit.checkpoints.interval.seconds": "1",
    "refresh.topics.interval.seconds": "5",
    "refresh.groups.interval.seconds": "5",
    "offset.lag.max": "0",
    "exactly.once.source.support": "enabled",
    "dedicated.mode.enable.internal.rest": "true",
    "emit.heartbeats.enabled": "false",
    "sync.topic.acls.enabled": "false",
}
ONE_BROKER = dict.fromkeys(
    (
        "replication.factor",
        "checkpoints.topic.replication.factor",
        "heartbeats.topic.replication.factor",
        "offset-syncs.topic.replication.factor",
        "offset.storage.replication.factor",
        "status.storage.replication.factor",
        "config.storage.replication.factor",
    ),
    "1",
)


class MirrorMaker(Server):
    """Mirrors `topics` and the offsets of `group`. It answers once the other cluster has all of the topics."""

    def __init__(self, folder: Path, kafka: tuple[str, str], topics: Sequence[str], group: str) -> None:
        super().__init__("mirror-maker", folder)
        self._kafka = dict(zip((FIRST, SECOND), kafka, strict=True))
        self._topics = frozenset(topics)
        self._properties = {
            **PROPERTIES,
            **ONE_BROKER,
            **{f"{name}.bootstrap.servers": address for name, address in self._kafka.items()},
            "topics": ",".join(topics),
            "groups": group,
            "listeners": f"http://{HOST}:{self.port}",
        }

    def command(self) -> list[str]:
        """The command line. Writes the properties."""
        file = self.folder / "mm2.properties"
        file.write_text("".join(f"{name}={value}\n" for name, value in self._properties.items()))
        jars = class_path("connect-runtime", "connect-json", "connect-mirror")
        main = "org.apache.kafka.connect.mirror.MirrorMaker"
        return [str(java()), *JVM_FLAGS, "-cp", jars, main, str(file), "--clusters", SECOND]

    def answers(self) -> bool:
        """Whether every topic is there."""
        try:
            with KafkaAdminClient(
                bootstrap_servers=self._kafka[SECOND], request_timeout_ms=_ANSWER_TIMEOUT_MS
            ) as admin:
                there = {topic["name"] for topic in admin.describe_topics()}
        except KafkaError:
            return False
        return self.running and there >= self._topics
