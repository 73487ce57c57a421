"""What surrounds the run of a world: logging, the clock of the process, and tasks that never end."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.simulation.loop import PROCESS, SimulatedLoop
from tests.simulation.worker.worker_process import simulated_process_calls
from tests.simulation.world.world import World
from worker.errors import SentimentError

logger = logging.getLogger("worker")


class _Deaths(logging.Handler):
    """Notes workers that end by an error that the worker does not know."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.CRITICAL)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        process = PROCESS.get()
        if process is None or not process.alive:
            return
        if error is not None and not isinstance(error, SentimentError):
            self._world.problems.append(f"{process} died of {type(error).__name__}: {error}")


@contextmanager
def simulated(world: World) -> Iterator[None]:
    """What surrounds the run of a world, whose dead processes never finish."""
    handler, level, propagate = _Deaths(world), logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.CRITICAL)
    logger.propagate = False
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    world.loop.set_exception_handler(lambda *_: None)
    try:
        with simulated_process_calls(world.loop):
            try:
                yield
            finally:
                _close_tasks(world.loop)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
        world.loop.close()
        sys.unraisablehook = hook


def _close_tasks(loop: SimulatedLoop) -> None:
    """End what never ended, here: the garbage collector would run its finally-blocks in the real process."""
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        with suppress(BaseException):
            task.get_coro().close()
