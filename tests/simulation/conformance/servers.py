"""The clusters that a script runs on: the model, and the one of the local stack."""

from __future__ import annotations

import asyncio

from tests import kafka_tools
from tests.simulation.kafka_model.brokers import SimulatedBrokers
from tests.simulation.kafka_model.cluster import Cluster
from tests.simulation.loop import SimulatedLoop
from tests.simulation.network import Network
from tests.workplace import Workplace
from worker.kafka.brokers import Brokers

BOUND_S = 120


class SimulatedServers:
    """The model."""

    def __init__(self, loop: SimulatedLoop) -> None:
        network = Network(loop, "kafka", lambda *_: None, BOUND_S)
        self.prefix = "script"
        self.cluster = Cluster(loop)
        self.clients = SimulatedBrokers(self.cluster, network), SimulatedBrokers(self.cluster, network)

    async def create_topic(self, name: str, num_partitions: int) -> None:
        self.cluster.create_topic(name, num_partitions)

    async def delete_topic(self, name: str) -> None:
        self.cluster.delete_topic(name)


class RealServers:
    """A cluster of the local stack."""

    def __init__(self, workplace: Workplace) -> None:
        self.prefix = workplace.settings.group
        self.kafka = workplace.settings.kafka
        self.clients = Brokers(workplace.settings), Brokers(workplace.settings)
        self.topics: set[str] = set()

    async def create_topic(self, name: str, num_partitions: int) -> None:
        self.topics.add(name)
        await asyncio.to_thread(kafka_tools.create_topics, self.kafka, {name: num_partitions})

    async def delete_topic(self, name: str) -> None:
        await asyncio.to_thread(kafka_tools.delete_topics, self.kafka, [name])
        self.topics.discard(name)
