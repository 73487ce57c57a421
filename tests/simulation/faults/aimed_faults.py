"""Faults that are aimed at the moments in which a single fence holds; by chance alone they are rare."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from tests.simulation import redis_model
from tests.simulation.loop import Process
from tests.simulation.worker.worker_process import GROUP
from tests.simulation.world.settled import is_settled
from tests.simulation.world.slots import PointAction, Slot
from tests.simulation.world.world import World

_MAX_PAUSE_S = 8.0
_MAX_LATE_S = 4.0
_MAX_WAIT_S = 10.0
_MAX_SETTLE_S = 20.0
_MAX_REACHED = 6
_POLL_S = 0.25


class _Pause(NamedTuple):
    """A worker is paused at one point until its successor reaches another. forgets: whether Redis does meanwhile."""

    at: str
    until: str
    forgets: bool = False


_PAUSES = (
    _Pause("applied", "claimed"),  # flushes what its successor has not flushed yet
    _Pause("applied", "flushed"),  # flushes over what its successor has flushed
    _Pause("loaded", "planned"),  # begins a transaction with records that its successor has read
    _Pause("loaded", "planned", forgets=True),  # the same, and nobody knows whose transactions to end
    _Pause("offsets_sent", "planned"),  # ends a transaction whose offsets its successor has not seen
)
_LATE = (
    "EndTxnRequest",
    "TxnOffsetCommitRequest",
    "AddPartitionsToTxnRequest",
    redis_model.BEGIN,
    redis_model.OTHER,
)


class AimedFaults:
    """Faults that wait for their moment."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._loop = world.loop
        self._choices = world.choices
        self.kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "pause_until_replaced": self._pause_until_replaced,
            "late_request": self._late_request,
            "forgotten_when_done": self._forgotten_when_done,
        }

    async def _pause_until_replaced(self) -> None:
        world, group, resumed = self._world, self._world.cluster.group(GROUP), asyncio.Event()
        chosen = self._choices.choice(_PAUSES)
        if len(world.slots) < 2:
            world.add_slot(static=False, flush_interval_s=0.2)

        def pause(slot: Slot) -> None:
            if slot.process is None:
                return
            process, generation = slot.process, group.generation
            process.paused = True
            if chosen.forgets:
                world.redis.data.clear()

            def replaces(other: Slot) -> bool:
                return other is not slot and group.generation > generation

            def resume(*_: object) -> None:
                self._loop.resume(process)
                resumed.set()

            world.at_points.append(PointAction(chosen.until, 1, resume, replaces))
            self._loop.in_world(_MAX_PAUSE_S, resume)

        world.at_points.append(PointAction(chosen.at, self._choices.randint(1, _MAX_REACHED), pause))
        await _happens(resumed)

    async def _late_request(self) -> None:
        """A request is stuck on its way until the worker, which has asked again, is in its next transaction."""
        world, arrived = self._world, asyncio.Event()
        name = self._choices.choice(_LATE)
        point = self._choices.choice(("produced", "offsets_sent", "planned"))

        def stick(process: Process, deliver: Callable[[], None]) -> None:
            def arrive(*_: object) -> None:
                if not arrived.is_set():
                    arrived.set()
                    self._loop.in_world(0, deliver)

            world.at_points.append(PointAction(point, 1, arrive, lambda slot: slot.process is process))
            self._loop.in_world(_MAX_LATE_S, arrive)

        world.network_of(name).stuck = name, stick
        if name == redis_model.BEGIN:
            # Lineages begin where there are no states.
            world.at_points.append(PointAction("fenced", 1, lambda _: world.redis.data.clear()))
            world.cluster.group(GROUP).rebalance()
        await _happens(arrived)

    async def _forgotten_when_done(self) -> None:
        """Redis forgets everything when nothing is left to read, and perhaps only markers lie behind the records."""
        world = self._world
        deadline = self._loop.time() + _MAX_SETTLE_S
        while not is_settled(world):
            if self._loop.time() > deadline:
                return
            await asyncio.sleep(_POLL_S)
        world.redis.data.clear()
        for slot in world.slots:
            if slot.process is not None:
                slot.process.crash("killed")


async def _happens(event: asyncio.Event) -> None:
    """Wait for it, since everything is mended when all faults are over; what it waits for may never come."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), _MAX_WAIT_S)
