"""What is done to the world: seeded, at any moment, one beside the other."""

from __future__ import annotations

import asyncio

from tests.simulation.faults.aimed_faults import AimedFaults
from tests.simulation.faults.model_changes import ModelChanges
from tests.simulation.faults.network_faults import NetworkFaults
from tests.simulation.faults.process_faults import ProcessFaults
from tests.simulation.faults.server_faults import REBALANCE_S, ServerFaults
from tests.simulation.worker.worker_process import TOPICS
from tests.simulation.world.world import World

_SNAPSHOT_S = 0.7
_AIMED_WEIGHT = 2


class Faults:
    """Chooses and carries out the faults of a seed."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._loop = world.loop
        self._choices = world.choices
        aimed = AimedFaults(world).kinds
        others = ProcessFaults(world).kinds | NetworkFaults(world).kinds | ServerFaults(world).kinds
        aimed |= ModelChanges(world).kinds
        self._kinds = aimed | others
        self._weights = {name: _AIMED_WEIGHT if name in aimed else 1 for name in sorted(self._kinds)}

    async def run(self, seconds: float) -> None:
        """Carry out some faults within `seconds`, then mend everything."""
        names, weights = list(self._weights), list(self._weights.values())
        chosen = self._choices.choices(names, weights, k=self._choices.randint(2, 8))
        snapshots = asyncio.create_task(self._take_snapshots())
        async with asyncio.TaskGroup() as tasks:
            for kind in chosen:
                tasks.create_task(self._one(kind, self._choices.random() * seconds))
        snapshots.cancel()
        world = self._world
        for topic in TOPICS:
            self._loop.in_world(REBALANCE_S, world.rebalance_without_leader, topic)
        world.at_points.clear()
        for network in (world.kafka_network, world.redis_network):
            network.break_after = network.stuck = None
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
