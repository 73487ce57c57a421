"""The places of workers in a simulated world, and what happens when one reaches a crash point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from tests.simulation.loop import Process
from tests.simulation.worker.engine import MODELS, ChainEngine
from tests.simulation.worker.worker_process import WorkerProcess


@dataclass
class Slot:
    """A place for a worker: one process at a time. model: of a shadow, its own; a worker starts with the world's."""

    name: str
    instance_id: str | None
    flush_interval_s: float
    process: Process | None = None
    worker: WorkerProcess | None = None
    wanted: bool = True
    num_lives: int = 0
    model: ChainEngine = MODELS[0]
    is_shadow: bool = False


class PointAction(NamedTuple):
    """What happens when a worker reaches a crash point often enough. concerns: whether a worker counts."""

    point: str
    num_left: int
    action: Callable[[Slot], None]
    concerns: Callable[[Slot], bool] = lambda _: True
