"""Kafka Connect: a standalone worker with one connector; its jars come from Maven into the cache of jgo."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

import jgo
from jgo.config import GlobalSettings

from worker.stack.jars import COORDINATES, KAFKA_VERSION, java, locked
from worker.stack.kafka import JVM_FLAGS
from worker.stack.server import HOST, Server

CONNECTOR = "file-sink"
_LOGGER = COORDINATES[1]
_ANSWER_TIMEOUT_S = 10


def class_path(*modules: str) -> str:
    """The class path of these modules of Kafka (`kafka-tools`). The first call on a machine downloads the jars."""
    coordinates = [f"org.apache.kafka:{module}:{KAFKA_VERSION}" for module in modules]
    with locked(Path(GlobalSettings.load().repo_cache)):
        jars = {str(artifact.resolve()): None for name in (*coordinates, _LOGGER) for artifact in jgo.resolve(name)}
    return os.pathsep.join(jars)


class KafkaConnect(Server):
    """Runs Kafka's own file sink, which appends each value of its topics to `sink`, as a line.

    `connector`: properties of the connector beside its name, class and file.
    """

    def __init__(self, folder: Path, kafka: str, connector: Mapping[str, str]) -> None:
        super().__init__("kafka-connect", folder)
        self.sink = folder / "sink.txt"
        self._files = {
            "worker.properties": {
                "bootstrap.servers": kafka,
                "key.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
                "value.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
                "listeners": f"http://{HOST}:{self.port}",
                "offset.storage.file.filename": str(folder / "offsets"),
                "plugin.discovery": "service_load",
            },
            "connector.properties": {
                "name": CONNECTOR,
                "connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector",
                "file": str(self.sink),
                **connector,
            },
        }

    def command(self) -> list[str]:
        """The command line. Writes the properties of the worker and of the connector."""
        for name, properties in self._files.items():
            lines = (f"{key}={value}\n" for key, value in properties.items())
            (self.folder / name).write_text("".join(lines))
        jars = class_path("connect-runtime", "connect-json", "connect-file")
        program = [str(java()), *JVM_FLAGS, "-cp", jars, "org.apache.kafka.connect.cli.ConnectStandalone"]
        return program + [str(self.folder / name) for name in self._files]

    def answers(self) -> bool:
        """Whether the connector and its task run."""
        try:
            with urlopen(f"http://{self.address}/connectors/{CONNECTOR}/status", timeout=_ANSWER_TIMEOUT_S) as response:
                status = json.load(response)
        except (OSError, HTTPException):
            return False
        states = {running["state"] for running in (status["connector"], *status["tasks"])}
        return self.running and bool(status["tasks"]) and states == {"RUNNING"}

    def lines(self) -> list[str]:
        """The whole lines that the sink wrote so far."""
        return self.sink.read_text().split("\n")[:-1] if self.sink.exists() else []
