"""What is done to connections: processes are cut off, servers are away, answers are lost or late."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tests.simulation import redis_model
from tests.simulation.faults.process_faults import running_slot
from tests.simulation.network import Network
from tests.simulation.world.world import World

_BROKEN_AFTER = (
    "InitProducerIdRequest",
    "AddPartitionsToTxnRequest",
    "ProduceRequest",
    "TxnOffsetCommitRequest",
    "EndTxnRequest",
    "EndTxnRequest",
    "SyncGroupRequest",
    redis_model.OTHER,
    redis_model.BEGIN,
)


class NetworkFaults:
    """Faults of the connections to Kafka and to Redis."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._choices = world.choices
        self.kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "cut_off": self._cut_off,
            "cut_off_after": self._cut_off_after,
            "kafka_away": self._kafka_away,
            "redis_away": self._redis_away,
            "lost_answers": self._lost_answers,
            "slow": self._slow,
        }

    def _network(self) -> Network:
        return self._choices.choice((self._world.kafka_network, self._world.redis_network))

    async def _cut_off(self) -> None:
        slot, network = running_slot(self._world), self._network()
        if slot is not None:
            network.cut_off.add(slot.name)
            await asyncio.sleep(self._choices.random() * 6.0)
            network.cut_off.discard(slot.name)

    async def _cut_off_after(self) -> None:
        """A request is carried out, and then there is no network: nobody knows whether it was."""
        seconds = 0.5 + self._choices.random() * 3.0
        name = self._choices.choice(_BROKEN_AFTER)
        network = self._world.network_of(name)
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
