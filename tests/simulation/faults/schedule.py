"""What is done to the world: seeded, at any moment, one beside the other."""

from __future__ import annotations

import asyncio

from tests.simulation.faults.network_faults import NetworkFaults
from tests.simulation.faults.process_faults import ProcessFaults
from tests.simulation.faults.server_faults import REBALANCE_S, ServerFaults
from tests.simulation.worker.worker_process import TOPICS
from tests.simulation.world.world import World

_SNAPSHOT_S = 0.7


class Faults:
    """Chooses and carries out the faults of a seed."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._loop = world.loop
        self._choices = world.choices
        kinds = (ProcessFaults(world).kinds, NetworkFaults(world).kinds, ServerFaults(world).kinds)
        self._kinds = {name: cause for found in kinds for name, cause in found.items()}

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
            self._loop.in_world(REBALANCE_S, world.rebalance_without_leader, topic)
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
