"""What is done to processes: they crash, pause, stop and are joined by others, at any step or at a crash point."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tests.simulation.world.slots import PointAction, Slot
from tests.simulation.world.world import World
from worker.process import CrashPoints

_MAX_WORKERS = 4


class ProcessFaults:
    """Faults of workers."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._loop = world.loop
        self._choices = world.choices
        self.kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "crash": self._crash,
            "crash_point": self._crash_point,
            "pause": self._pause,
            "pause_point": self._pause_point,
            "pause_long": self._pause_long,
            "stop": self._stop,
            "join": self._join,
        }

    async def _crash(self) -> None:
        slot = running_slot(self._world)
        if slot is not None and slot.process is not None:
            process = slot.process
            process.after_steps(self._choices.randrange(200), lambda: process.crash("killed"))

    def _at_point(self, action: Callable[[Slot], None]) -> None:
        """Let `action` happen when some worker reaches some point."""
        point = self._choices.choice(CrashPoints.NAMES)
        self._world.at_points.append(PointAction(point, self._choices.randint(1, 4), action))

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
        slot = running_slot(self._world)
        if slot is None or slot.process is None:
            return
        process = slot.process

        def pause() -> None:
            process.paused = True
            self._loop.in_world(seconds, self._loop.resume, process)

        process.after_steps(self._choices.randrange(200), pause)
        await asyncio.sleep(seconds)

    async def _stop(self) -> None:
        slot = running_slot(self._world)
        if slot is not None and slot.worker is not None:
            slot.worker.stop()

    async def _join(self) -> None:
        world = self._world
        if len(world.slots) < _MAX_WORKERS:
            world.add_slot(static=self._choices.random() < 0.3, flush_interval_s=0.2)


def running_slot(world: World) -> Slot | None:
    """One of the workers that run, None where none does."""
    alive = [s for s in world.slots if s.process is not None and s.process.alive and not s.process.paused]
    return world.choices.choice(alive) if alive else None
