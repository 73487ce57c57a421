"""What is done to the world: seeded, at any moment, one beside the other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from tests.simulation.kafka_model.transactions import TransactionState
from tests.simulation.network import Network
from tests.simulation.worker.worker_process import TOPICS
from tests.simulation.world import NUM_PARTITIONS, PointAction, Slot, World
from worker.process import CrashPoints

_MAX_WORKERS = 4
_SNAPSHOT_S = 0.7
_BROKEN_AFTER = (
    "InitProducerIdRequest",
    "AddPartitionsToTxnRequest",
    "ProduceRequest",
    "TxnOffsetCommitRequest",
    "EndTxnRequest",
    "EndTxnRequest",
    "SyncGroupRequest",
)
_REBALANCE_S = 15.0


class Faults:
    """Chooses and carries out the faults of a seed."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._loop = world.loop
        self._choices = world.choices
        self._kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "crash": self._crash,
            "crash_point": self._crash_point,
            "pause": self._pause,
            "pause_point": self._pause_point,
            "pause_long": self._pause_long,
            "stop": self._stop,
            "join": self._join,
            "cut_off": self._cut_off,
            "cut_off_after": self._cut_off_after,
            "kafka_away": self._kafka_away,
            "redis_away": self._redis_away,
            "lost_answers": self._lost_answers,
            "slow": self._slow,
            "redis_lost": self._redis_lost,
            "redis_rolled_back": self._redis_rolled_back,
            "transaction_timeout": self._transaction_timeout,
            "id_expired": self._id_expired,
            "truncated": self._truncated,
            "recreated": self._recreated,
        }

    async def run(self, seconds: float) -> None:
        """Carry out some faults within `seconds`, then mend everything."""
        chosen = self._choices.choices(sorted(self._kinds), k=self._choices.randint(2, 8))
        snapshots = asyncio.create_task(self._take_snapshots())
        async with asyncio.TaskGroup() as tasks:
            for kind in chosen:
                tasks.create_task(self._one(kind, self._choices.random() * seconds))
        snapshots.cancel()
        world = self._world
        for topic in TOPICS:
            self._loop.in_world(_REBALANCE_S, world.rebalance_without_leader, topic)
        world.at_point = world.kafka_network.break_after = world.redis_network.break_after = None
        for slot in world.slots:
            if slot.process is not None and slot.process.paused:
                self._loop.resume(slot.process)
            if slot.process is not None:
                slot.process.on_steps_done = None

    async def _one(self, kind: str, at_s: float) -> None:
        await asyncio.sleep(at_s)
        self._world.faults[kind] += 1
        await self._kinds[kind]()

    async def _take_snapshots(self) -> None:
        while True:
            await asyncio.sleep(_SNAPSHOT_S)
            self._world.redis.snapshot()

    def _slot(self) -> Slot | None:
        alive = [s for s in self._world.slots if s.process is not None and s.process.alive and not s.process.paused]
        return self._choices.choice(alive) if alive else None

    # processes

    async def _crash(self) -> None:
        slot = self._slot()
        if slot is not None and slot.process is not None:
            process = slot.process
            process.after_steps(self._choices.randrange(200), lambda: process.crash("killed"))

    def _at_point(self, action: Callable[[Slot], None]) -> None:
        """Let `action` happen when some worker reaches some point."""
        point = self._choices.choice(CrashPoints.NAMES)
        self._world.at_point = PointAction(None, point, self._choices.randint(1, 4), action)

    async def _crash_point(self) -> None:
        def crash(slot: Slot) -> None:
            if slot.process is not None:
                slot.process.crash("crash point")

        self._at_point(crash)

    async def _pause_point(self) -> None:
        seconds = self._choices.choice((0.5, 3.0, 6.0))

        def pause(slot: Slot) -> None:
            if slot.process is not None:
                slot.process.paused = True
                self._loop.in_world(seconds, self._loop.resume, slot.process)

        self._at_point(pause)

    async def _pause(self) -> None:
        await self._pause_for(self._choices.random() * 1.5)

    async def _pause_long(self) -> None:
        await self._pause_for(2.0 + self._choices.random() * 8.0)

    async def _pause_for(self, seconds: float) -> None:
        slot = self._slot()
        if slot is None or slot.process is None:
            return
        process = slot.process

        def pause() -> None:
            process.paused = True
            self._loop.in_world(seconds, self._loop.resume, process)

        process.after_steps(self._choices.randrange(200), pause)
        await asyncio.sleep(seconds)

    async def _stop(self) -> None:
        slot = self._slot()
        if slot is not None and slot.worker is not None:
            slot.worker.stop()

    async def _join(self) -> None:
        world = self._world
        if len(world.slots) < _MAX_WORKERS:
            world.add_slot(static=self._choices.random() < 0.3, flush_interval_s=0.2)

    # connections

    def _network(self) -> Network:
        return self._choices.choice((self._world.kafka_network, self._world.redis_network))

    async def _cut_off(self) -> None:
        slot, network = self._slot(), self._network()
        if slot is not None:
            network.cut_off.add(slot.name)
            await asyncio.sleep(self._choices.random() * 6.0)
            network.cut_off.discard(slot.name)

    async def _cut_off_after(self) -> None:
        """A request is carried out, and then there is no network: nobody knows whether it was."""
        seconds = 0.5 + self._choices.random() * 3.0
        name = self._choices.choice((*_BROKEN_AFTER, "Redis"))
        network = self._world.redis_network if name == "Redis" else self._world.kafka_network
        network.break_after = name, seconds
        await asyncio.sleep(seconds)

    async def _away(self, network: Network) -> None:
        network.away = True
        await asyncio.sleep(self._choices.random() * 3.0)
        network.away = False

    async def _kafka_away(self) -> None:
        await self._away(self._world.kafka_network)

    async def _redis_away(self) -> None:
        await self._away(self._world.redis_network)

    async def _lost_answers(self) -> None:
        network = self._network()
        network.lost_answers = self._choices.choice((0.1, 0.3, 0.6))
        await asyncio.sleep(self._choices.random() * 3.0)
        network.lost_answers = 0.0

    async def _slow(self) -> None:
        network = self._network()
        network.slow, network.slow_s = self._choices.choice((0.05, 0.3)), self._choices.choice((0.1, 3.0))
        await asyncio.sleep(self._choices.random() * 3.0)
        network.slow = 0.0

    # Redis

    async def _redis_lost(self) -> None:
        self._world.redis.data.clear()

    async def _redis_rolled_back(self) -> None:
        snapshots = self._world.redis.snapshots
        if snapshots:
            self._world.redis.roll_back(self._choices.choice(snapshots[-6:]))

    # Kafka

    async def _transaction_timeout(self) -> None:
        coordinator = self._world.cluster.coordinator
        for _ in range(2000):
            for name, transaction in coordinator.transactions.items():
                if transaction.state is TransactionState.ONGOING:
                    coordinator.abort(name)
                    return
            await asyncio.sleep(0.002)

    async def _id_expired(self) -> None:
        coordinator = self._world.cluster.coordinator
        for name in list(coordinator.transactions):
            coordinator.expire(name)

    async def _truncated(self) -> None:
        world = self._world
        tps = [tp for tp in world.tps if tp not in world.held and world.log(tp).offset > 0]
        if not tps:
            return
        tp = self._choices.choice(tps)
        log = world.log(tp)
        log.truncate(max(0, log.offset - self._choices.randint(1, 6)))
        for record in world.records.values():
            if record.tp == tp:
                record.may_be_lost = record.may_be_repeated = True
        await world.hold([tp])

    async def _recreated(self) -> None:
        topic = self._choices.choice(TOPICS)
        if self._choices.random() < 0.5:
            # While its records are on their way through a worker.
            reached = asyncio.Event()
            point = self._choices.choice(("scored", "produced", "claimed"))
            self._world.at_point = PointAction(None, point, 1, lambda _: reached.set())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reached.wait(), 1.0)
        await self._recreate(topic)

    async def _recreate(self, topic: str) -> None:
        world = self._world
        if topic not in world.cluster.topics or any(tp.topic == topic for tp in world.held):
            return
        tps = [tp for tp in world.tps if tp.topic == topic]
        world.held |= set(tps)
        world.cluster.delete_topic(topic)
        for record in world.records.values():
            if record.tp.topic == topic:
                record.may_be_lost = True
        await asyncio.sleep(self._choices.random() * 2.0)
        world.cluster.create_topic(topic, NUM_PARTITIONS)
        self._loop.in_world(_REBALANCE_S, world.rebalance_without_leader, topic)
        await world.hold(tps)
