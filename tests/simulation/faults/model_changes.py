"""A shadow builds the states of another model, and the workers change to it, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tests.simulation.worker.engine import MODELS
from tests.simulation.world.slots import Slot
from tests.simulation.world.world import World

_MAX_FOLLOW_S = 4.0
_MAX_STEP_S = 1.0
_END_S = 6.0


class ModelChanges:
    """The change of the model, which may be followed by one back."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._choices = world.choices
        self._changing = asyncio.Lock()
        self.kinds: dict[str, Callable[[], Awaitable[None]]] = {"cut_over": self._cut_over}

    async def _cut_over(self) -> None:
        async with self._changing:
            world = self._world
            other = next(model for model in MODELS if model is not world.model)
            shadow = next((slot for slot in world.slots if slot.is_shadow), None)
            if shadow is None:
                shadow = world.add(
                    Slot("shadow", None, self._choices.choice((0, 0.1, 0.3)), is_shadow=True, model=other)
                )
            await asyncio.sleep(self._choices.random() * _MAX_FOLLOW_S)
            world.model = other
            for slot in [one for one in world.workers if one.wanted]:
                await self._change(slot)
                await asyncio.sleep(self._choices.random() * _MAX_STEP_S)
            # What was served before is what the next shadow follows with.
            shadow.model = next(model for model in MODELS if model is not other)
            if shadow.process is not None and shadow.process.alive:
                shadow.process.crash("killed")

    async def _change(self, slot: Slot) -> None:
        """Start the worker again with the other model, or another process in its place in the group."""
        process = slot.process
        if process is None or not process.alive or slot.model is self._world.model:
            return
        if slot.instance_id is None:
            if slot.worker is not None and self._choices.random() < 0.7:
                slot.worker.stop()
            else:
                process.crash("killed")
            return
        slot.wanted = False
        self._world.add(Slot(f"{slot.name}'", slot.instance_id, slot.flush_interval_s))
        await asyncio.sleep(self._choices.random() * _END_S)
        if process.alive:
            process.crash("killed")
