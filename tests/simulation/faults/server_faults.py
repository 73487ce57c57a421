"""What is done to the data of the servers: states lost or rolled back, transactions and ids expired, logs cut."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from tests.simulation.kafka_model.transactions import TransactionState
from tests.simulation.worker.worker_process import TOPICS
from tests.simulation.world.input_feed import NUM_PARTITIONS
from tests.simulation.world.settled import hold_input
from tests.simulation.world.slots import PointAction
from tests.simulation.world.world import World

_MAX_LOADING_S = 5.0
REBALANCE_S = 15.0
"""Until new partitions are assigned, even where a static leader does not know that it leads."""


class ServerFaults:
    """Faults of Redis' and Kafka's data."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._loop = world.loop
        self._choices = world.choices
        self.kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "redis_lost": self._redis_lost,
            "redis_rolled_back": self._redis_rolled_back,
            "transaction_timeout": self._transaction_timeout,
            "markers_lost": self._markers_lost,
            "coordinator_loads": self._coordinator_loads,
            "id_expired": self._id_expired,
            "truncated": self._truncated,
            "recreated": self._recreated,
        }

    async def _redis_lost(self) -> None:
        self._world.redis.data.clear()

    async def _redis_rolled_back(self) -> None:
        snapshots = self._world.redis.snapshots
        if snapshots:
            self._world.redis.roll_back(self._choices.choice(snapshots[-6:]))

    async def _transaction_timeout(self) -> None:
        coordinator = self._world.cluster.coordinator
        for _ in range(2000):
            for name, transaction in coordinator.transactions.items():
                if transaction.state is TransactionState.ONGOING:
                    coordinator.abort(name)
                    return
            await asyncio.sleep(0.002)

    async def _markers_lost(self) -> None:
        """The broker dies when a transaction is decided, and has lost its markers when it is back."""
        network, coordinator = self._world.kafka_network, self._world.cluster.coordinator
        seconds = self._choices.random() * 3.0
        killed = self._choices.random() < 0.5
        done = asyncio.Event()

        def away() -> None:
            network.away = True
            self._loop.in_world(seconds, back)
            for slot in self._world.slots if killed else ():
                if slot.process is not None:
                    slot.process.crash("killed")

        def back() -> None:
            network.away = False
            done.set()

        def lose() -> None:
            self._loop.in_world(self._choices.random() * 0.004, away)

        if self._world.feed.held:
            return  # see _recreate
        coordinator.on_lost_markers = lose
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), 10.0)
        coordinator.on_lost_markers = None

    async def _coordinator_loads(self) -> None:
        """The broker dies, and its coordinator of groups answers before it has loaded what they committed."""
        network, groups = self._world.kafka_network, self._world.cluster.groups
        if groups.is_loading:
            return
        network.away = True
        await asyncio.sleep(self._choices.random() * 2.0)
        network.away = False
        groups.load_again(self._choices.random)
        await asyncio.sleep(self._choices.random() * _MAX_LOADING_S)
        groups.loaded()

    async def _id_expired(self) -> None:
        coordinator = self._world.cluster.coordinator
        for name in list(coordinator.transactions):
            coordinator.expire(name)

    async def _truncated(self) -> None:
        world = self._world
        tps = [tp for tp in world.tps if tp not in world.feed.held and world.log(tp).offset > 0]
        if not tps:
            return
        tp = self._choices.choice(tps)
        log = world.log(tp)
        log.truncate(max(0, log.offset - self._choices.randint(1, 6)))
        for record in world.feed.records.values():
            if record.tp == tp:
                record.may_be_lost = record.may_be_repeated = True
        await hold_input(world, [tp])

    async def _recreated(self) -> None:
        topic = self._choices.choice(TOPICS)
        if self._choices.random() < 0.5:
            # While its records are on their way through a worker.
            reached = asyncio.Event()
            point = self._choices.choice(("scored", "produced", "claimed"))
            self._world.at_points.append(PointAction(point, 1, lambda _: reached.set()))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reached.wait(), 1.0)
        await self._recreate(topic)

    async def _recreate(self, topic: str) -> None:
        world = self._world
        if topic not in world.cluster.topics or any(tp.topic == topic for tp in world.feed.held):
            return
        if world.cluster.coordinator.has_lost_markers:
            return  # with the group's offsets of the topic goes the only sign that markers are lost
        tps = [tp for tp in world.tps if tp.topic == topic]
        world.feed.held |= set(tps)
        world.cluster.delete_topic(topic)
        for record in world.feed.records.values():
            if record.tp.topic == topic:
                record.may_be_lost = True
        await asyncio.sleep(self._choices.random() * 2.0)
        world.cluster.create_topic(topic, NUM_PARTITIONS)
        self._loop.in_world(REBALANCE_S, world.rebalance_without_leader, topic)
        await hold_input(world, tps)
