"""Runs a seed: a world, its faults, quiet, and the oracle."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from typing import NamedTuple

from tests.simulation.faults.schedule import Faults
from tests.simulation.loop import START_S, StalledError
from tests.simulation.oracle import differences
from tests.simulation.world.environment import simulated
from tests.simulation.world.settled import is_settled
from tests.simulation.world.world import World

DEFAULT_RECORDS = 150
_FEED_S = 8.0
_SETTLE_S = 120.0
_POLL_S = 0.25


class Outcome(NamedTuple):
    """What came of a seed. digest: a hash of all that happened. num_stale_writes: refused by Redis' scripts."""

    seed: int
    differences: list[str]
    num_records: int
    virtual_s: float
    num_steps: int
    digest: str
    faults: Counter[str]
    deaths: Counter[str]
    points: Counter[str]
    num_stale_writes: int


def run_seed(seed: int, num_records: int = DEFAULT_RECORDS, *, with_faults: bool = True) -> Outcome:
    """Run one seed."""
    world = World(seed, num_records)
    found: list[str] = []

    async def main() -> None:
        faults = Faults(world)
        for number in range(world.choices.choice((1, 2, 2, 3))):
            static = world.choices.random() < 0.3
            world.add_slot(static=static, flush_interval_s=world.choices.choice((0, 0.1, 0.3, 1.0)))
            await asyncio.sleep(world.choices.random() * number * 0.2)
        tasks = [asyncio.create_task(one) for one in (world.supervise(), world.feed.run(_FEED_S))]
        if with_faults:
            await faults.run(_FEED_S)
        deadline = world.loop.time() + _SETTLE_S
        while not is_settled(world) and world.loop.time() < deadline:  # noqa: ASYNC110 - a look costs no virtual time
            await asyncio.sleep(_POLL_S)
        if not is_settled(world):
            found.append("it does not settle")
        for task in tasks:
            if task.done() and task.exception() is not None:
                raise task.exception()  # type: ignore[misc]

    gc.disable()
    with simulated(world):
        try:
            world.loop.run_until_complete(main())
            found += differences(world)
        except StalledError as error:
            found.append(f"it stalls: {error}")
        outcome = Outcome(
            seed,
            found,
            len(world.feed.records),
            world.loop.time() - START_S,
            world.loop.num_steps,
            world.digest(),
            world.faults,
            world.deaths,
            world.points,
            world.redis.num_refused,
        )
    gc.enable()
    return outcome
