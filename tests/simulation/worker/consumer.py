"""The worker's consumer over the simulated cluster: its own bookkeeping, with models of Faust and the fetch thread."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tests.simulation.kafka_model.brokers import SimulatedBrokers
from tests.simulation.worker.fetch_thread import FetchThread
from tests.simulation.worker.group_member import GroupMember
from worker.kafka.protocol.offsets import Membership
from worker.kafka.transport.assignment import Assignment, PartitionHandler
from worker.kafka.transport.consumer import BatchConsumer
from worker.kafka.transport.microbatch import HeldRecords, InFlight, MicroBatch, Pacing
from worker.records.types import TopicPartition
from worker.settings import Settings

_HANDOVER_S = 0.002


class SimulatedConsumer:
    """Stands for the Faust app and its consumer. Fetched records go through BatchConsumer's own methods."""

    positions: Any = BatchConsumer.positions
    idle_positions: Any = BatchConsumer.idle_positions
    reseek: Any = BatchConsumer.reseek
    done: Any = BatchConsumer.done
    release: Any = BatchConsumer.release
    _receive: Any = BatchConsumer._receive
    _queue: Any = BatchConsumer._queue
    _deliver: Any = BatchConsumer._deliver
    _drop_fetched: Any = BatchConsumer._drop_fetched

    def __init__(self, settings: Settings, handler: PartitionHandler, brokers: SimulatedBrokers) -> None:
        self._settings = self._limits = settings
        self.pacing = Pacing(settings.max_wait_ms / 1000)
        self._handler = handler
        self._brokers = brokers
        self._thread = FetchThread(brokers)
        self._flow = asyncio.Event()
        batches: Any = asyncio.Queue()
        batches.force_put_nowait = batches.put_nowait
        self._batches = batches
        self._seek_number = 0
        self._waiting: list[MicroBatch] = []
        self._held = HeldRecords()
        self.in_flight = InFlight(settings)
        self._positions: dict[TopicPartition, tuple[int, int]] = {}
        self._member = GroupMember(settings, brokers, self._take_assigned, self._give_up_assigned)

    @property
    def consumer(self) -> SimulatedConsumer:
        """The app's consumer."""
        return self

    @property
    def assigned(self) -> frozenset[TopicPartition]:
        """The partitions that the group has assigned."""
        return self._thread.assigned

    @property
    def flow_active(self) -> bool:
        """Whether partitions are assigned."""
        return self._flow.is_set()

    def _queue_for(self, tp: TopicPartition) -> Any:
        return self._batches

    async def _in_thread(self, call: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        await asyncio.sleep(_HANDOVER_S)
        return await call(*arguments)

    async def ask_brokers(self) -> None:
        """See BatchConsumer.ask_brokers."""
        await self._brokers.num_partitions(self._settings.topics[0])

    async def take_batches(self, process: Callable[[MicroBatch], Awaitable[None]]) -> None:
        """The agent: one MicroBatch after the other."""
        while True:
            await process(await self._batches.get())

    async def fetch_records(self) -> None:
        """See BatchConsumer._drain_messages."""
        while True:
            await self.in_flight.wait_for_room(lambda: False)
            fetched = await self._thread.fetch()
            await asyncio.sleep(_HANDOVER_S)
            await self._flow.wait()
            if fetched.seek_number == self._seek_number:
                self._receive(fetched)

    async def stay_in_group(self) -> None:
        """Be a member of the group for ever."""
        await self._member.stay_in_group()

    async def leave(self) -> None:
        """Drain, and leave the group."""
        await self._drain()
        await self._member.leave()

    async def _take_assigned(self, tps: frozenset[TopicPartition], membership: Membership) -> None:
        self._thread.assigned = tps
        self._handler.on_assigned(Assignment(tps, membership, self.reseek))
        await self.reseek()
        self._flow.set()

    async def _give_up_assigned(self) -> None:
        await self._drain()
        await self._handler.on_rejoining()
        self._thread.assigned, self._thread.offsets = frozenset(), {}

    async def _drain(self) -> None:
        self._flow.clear()
        self._drop_fetched()
        await self._handler.on_revoked()
