"""A simulated world: an input, workers that are started again when they die, servers, and what happens to them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from tests.simulation import redis_model
from tests.simulation.kafka_model.brokers import SimulatedBrokers
from tests.simulation.kafka_model.cluster import Cluster
from tests.simulation.kafka_model.log import PartitionLog
from tests.simulation.loop import Process, SimulatedLoop
from tests.simulation.network import Network
from tests.simulation.redis_model import RedisServer, SimulatedRedis
from tests.simulation.worker.engine import MODELS, ChainEngine
from tests.simulation.worker.worker_process import BASE_SETTINGS, GROUP, TOPICS, WorkerProcess
from tests.simulation.world.input_feed import NUM_PARTITIONS, InputFeed
from tests.simulation.world.slots import PointAction, Slot
from worker.records.types import TopicPartition

_MAX_RESTART_S = 1.0
_MAX_TAKE_OVER_S = 0.7
# After these, the group's offsets may go back.
_LOG_FAULTS = frozenset({"truncated", "recreated"})


@dataclass
class World:
    """Everything of one seed."""

    seed: int
    num_records: int
    loop: SimulatedLoop = field(init=False)
    faults: Counter[str] = field(default_factory=Counter)
    deaths: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    at_points: list[PointAction] = field(default_factory=list)
    disturbed_s: float = 0.0  # when a network or a process was last out of order
    claimed_s: dict[str, float] = field(default_factory=dict)
    model: ChainEngine = MODELS[0]

    def __post_init__(self) -> None:
        self.loop = SimulatedLoop(self.seed)
        self.choices = random.Random(f"world {self.seed}")
        self._trace = blake2b(digest_size=16)
        self.cluster = Cluster(self.loop)
        self.redis = RedisServer(self.loop, self.problems)
        timeout_s = BASE_SETTINGS.request_timeout_s
        self.kafka_network = Network(self.loop, "kafka", self.trace, timeout_s)
        self.redis_network = Network(self.loop, "redis", self.trace, timeout_s)
        for topic in TOPICS:
            self.cluster.create_topic(topic, NUM_PARTITIONS)
        for topic in (*self.output_topics, BASE_SETTINGS.shadow_topic):
            self.cluster.create_topic(topic, NUM_PARTITIONS)
        self.feed = InputFeed(self.loop, self.cluster, self.choices, self.num_records)
        self.slots: list[Slot] = []

    @property
    def output_topics(self) -> tuple[str, str, str]:
        """Events, shifts, dead letters."""
        settings = BASE_SETTINGS
        return settings.events_topic, settings.shifts_topic, settings.deadletters_topic

    @property
    def tps(self) -> list[TopicPartition]:
        """The input partitions that exist."""
        return [
            TopicPartition(topic, number)
            for topic in TOPICS
            if topic in self.cluster.topics
            for number in range(len(self.cluster.topics[topic].logs))
        ]

    def log(self, tp: TopicPartition) -> PartitionLog:
        """The log of a partition that exists."""
        log = self.cluster.log(tp)
        assert log is not None
        return log

    def trace(self, server: str, process: Process | None, what: str, _: Any) -> None:
        """Note that a server answered."""
        self._trace.update(f"{self.loop.time():.6f} {server} {process} {what}\n".encode())

    def digest(self) -> str:
        """A hash of everything that happened: equal for equal seeds."""
        final = self._trace.copy()
        for name, topic in sorted(self.cluster.topics.items()):
            for log in topic.logs:
                found = [(e.offset, e.key, e.value, e.commits) for e in log.entries]
                final.update(f"{name} {found}".encode())
        final.update(repr(sorted(self.redis.data.items())).encode())
        return final.hexdigest()

    # workers

    def add_slot(self, *, static: bool, flush_interval_s: float) -> Slot:
        """Start one more worker."""
        name = f"w{len(self.slots)}"
        return self.add(Slot(name, f"host-{name}" if static else None, flush_interval_s))

    def add(self, slot: Slot) -> Slot:
        """Start a worker in a new place."""
        self.slots.append(slot)
        self.start(slot)
        return slot

    @property
    def workers(self) -> list[Slot]:
        """The places of the group's workers, shadows left out."""
        return [slot for slot in self.slots if not slot.is_shadow]

    def start(self, slot: Slot) -> None:
        """Start the next life of a worker."""
        slot.num_lives += 1
        if not slot.is_shadow:
            slot.model = self.model
        model = slot.model

        async def main() -> None:
            update = {
                "instance_id": slot.instance_id,
                "flush_interval_s": slot.flush_interval_s,
                "shadow": slot.is_shadow,
            }
            settings = BASE_SETTINGS.model_copy(update=update)
            brokers = SimulatedBrokers(self.cluster, self.kafka_network)
            redis = SimulatedRedis(self.redis, self.redis_network)
            slot.worker = WorkerProcess(
                self.loop, brokers, redis, settings, lambda name: self._reached(slot, name), model
            )
            await slot.worker.run()

        async def main_or_problem() -> None:
            try:
                await main()
            except Exception as error:
                self.problems.append(f"{slot.name} ends by {type(error).__name__}: {error}")

        slot.process = self.loop.new_process(f"{slot.name}/{slot.num_lives}", main_or_problem)

    def _reached(self, slot: Slot, point: str) -> None:
        self.points[point] += 1
        self._check_take_over(slot, point)
        if slot.is_shadow and point == "flushed":
            self._check_shadow(slot)
        left, due = [], []
        for waiting in self.at_points:
            if waiting.point != point or not waiting.concerns(slot):
                left.append(waiting)
            elif waiting.num_left > 1:
                left.append(waiting._replace(num_left=waiting.num_left - 1))
            else:
                due.append(waiting)
        self.at_points = left
        for waiting in due:
            waiting.action(slot)

    def _check_take_over(self, slot: Slot, point: str) -> None:
        """With servers and network in order, a take-over takes less than a transaction's time-out."""
        now_s = self.loop.time()
        if self.is_disturbed:
            self.disturbed_s = now_s
        if point == "claimed":
            self.claimed_s[slot.name] = now_s
        elif point == "planned":
            claimed_s = self.claimed_s[slot.name]
            if self.disturbed_s < claimed_s and now_s - claimed_s > _MAX_TAKE_OVER_S:
                self.problems.append(f"{slot.process} took {now_s - claimed_s:.1f} s to take over")

    def _check_shadow(self, slot: Slot) -> None:
        """The states of a shadow are never ahead of the group that it follows, while that goes forward.

        Those of a worker that took them are, until the markers of its transaction are written.
        """
        if self.faults.keys() & _LOG_FAULTS or self.cluster.coordinator.has_lost_markers:
            return
        offsets = self.cluster.group(GROUP).offsets.committed
        for tp in self.tps:
            stored, offset = self.stored(tp, slot.model), offsets.get(tp)
            is_of_shadow = stored.get(b"transactional_id", b"").startswith(f"{GROUP}.shadow.".encode())
            position = int(stored.get(b"position", b"0"))
            if is_of_shadow and position > (offset.offset if offset else 0):
                self.problems.append(
                    f"{slot.process} has states of {tp} up to {position}, the group's offset: {offset}"
                )

    @property
    def is_disturbed(self) -> bool:
        """Whether anything keeps requests from being answered at once."""
        paused = any(slot.process is not None and slot.process.paused for slot in self.slots)
        return (
            paused
            or self.cluster.groups.is_loading
            or any(network.is_disturbed for network in (self.kafka_network, self.redis_network))
        )

    async def supervise(self) -> None:
        """Start workers again that died."""
        while True:
            await asyncio.sleep(0.1)
            if self.is_disturbed:
                self.disturbed_s = self.loop.time()
            for slot in self.slots:
                process = slot.process
                if process is not None and not process.alive:
                    self.deaths[process.exit_reason or ""] += 1
                    slot.process = slot.worker = None
                    if slot.wanted:
                        self.loop.in_world(self.choices.random() * _MAX_RESTART_S, self.start, slot)

    def rebalance_without_leader(self, topic: str) -> None:
        """A static leader that restarts does not know that it leads (KIP-814), and assigns no partitions that are new.

        Until the membership changes nobody does; here it changes.
        """
        assigned = {tp for slot in self.workers if slot.worker for tp in slot.worker.consumer.assigned}
        if not any(tp.topic == topic for tp in assigned):
            self.faults["rebalanced_for_static_leader"] += 1
            self.cluster.group(GROUP).rebalance()

    def network_of(self, request: str) -> Network:
        """The network that requests of this name take."""
        return self.redis_network if request.startswith(redis_model.OTHER) else self.kafka_network

    def stored(self, tp: TopicPartition, model: ChainEngine | None = None) -> dict[bytes, bytes]:
        """What Redis holds of a partition, beside its states, of the model that serves or of another."""
        key = f"{{{GROUP}:{tp.topic}:{tp.partition}}}:{(model or self.model).fingerprint}:meta"
        found: dict[bytes, bytes] = self.redis.data.get(key.encode(), {})
        return found
