"""A broker that dies with much to load, and returns to busy processors: it answers before it has loaded all."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.run import Run
from tests.faults.servers import java_hash
from worker.kafka.brokers import Brokers
from worker.kafka.group import Group
from worker.kafka.group_offsets import GroupOffset
from worker.kafka.protocol.offsets import NO_MEMBER
from worker.records.types import TopicPartition
from worker.settings import Settings
from worker.stack.kafka import NUM_INTERNAL_PARTITIONS

NUM_BURNERS = 8
BUSY_S = 12.0
BURN_S = 60.0
BURNER = f"import time; end = time.time() + {BURN_S}\nwhile time.time() < end: pass"
NUM_FILLERS, FILL_S = 12, 15.0
METADATA = "x" * 100
SMALL_BATCHES = {"group.coordinator.append.linger.ms": "0"}
"""Of the broker: each commit is a batch of its own, and small batches are what takes long to load."""


def kill_broker_busy(run: Run) -> None:
    """Kill the only broker while records flow, after other groups have committed much; the processors are busy then."""
    run.start_workers()
    settings = run.scene.workplace.settings
    num_before = run.num_records // 3
    with run.feeding(num_before):
        pass
    asyncio.run(fill_offsets(settings))
    with run.feeding(run.num_records - num_before):
        run.pause_within(0.5, 2.0)
        run.inject("kill_broker_busy")
        (broker,) = run.stack.brokers
        broker.kill()
        with busy(NUM_BURNERS):
            broker.start()
            time.sleep(BUSY_S)


async def fill_offsets(settings: Settings) -> None:
    """Commit offsets of another group for a while, whose log is the one that the workers' group has, too."""
    place = java_hash(settings.group) % NUM_INTERNAL_PARTITIONS
    names = (f"filler-{number}" for number in itertools.count())
    name = next(name for name in names if java_hash(name) % NUM_INTERNAL_PARTITIONS == place)
    until_s = time.monotonic() + FILL_S

    async def commit(number: int) -> None:
        tp = TopicPartition(settings.topics[0], number % settings.partitions)
        async with Brokers(settings) as brokers:
            group = Group(settings, brokers, name)
            for offset in itertools.count():
                if time.monotonic() > until_s:
                    break
                await group.commit({tp: GroupOffset(offset, METADATA)}, NO_MEMBER)

    async with asyncio.TaskGroup() as tasks:
        for number in range(NUM_FILLERS):
            tasks.create_task(commit(number))


@contextmanager
def busy(num_processes: int) -> Iterator[None]:
    """Processes that keep the processors busy meanwhile."""
    burners = [subprocess.Popen([sys.executable, "-c", BURNER], start_new_session=True) for _ in range(num_processes)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
