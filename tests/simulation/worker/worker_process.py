"""A worker process in the simulation: the worker's own parts, put together as worker/service/app.py does."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn
from unittest import mock

from tests.simulation.kafka_model.brokers import SimulatedBrokers
from tests.simulation.loop import PROCESS, SimulatedLoop
from tests.simulation.redis_model import SimulatedRedis
from tests.simulation.worker.consumer import SimulatedConsumer
from tests.simulation.worker.engine import MODELS, ChainEngine
from worker.kafka.group import Group
from worker.monitoring.health import Health
from worker.monitoring.metrics import Metrics
from worker.monitoring.observers import Observers
from worker.ownership.checkpointer import Checkpointer
from worker.ownership.leader import Leader
from worker.ownership.manager import PartitionManager
from worker.ownership.processing_lock import ProcessingLock
from worker.ownership.publisher import publisher_factory
from worker.ownership.takeover import TakeOver
from worker.process import CrashPoints, die
from worker.processing.pipeline import Pipeline
from worker.service.monitor import Monitor
from worker.settings import Settings, load_settings
from worker.state import store
from worker.state.store import StateStore

TOPICS = ("tweets", "reviews")
GROUP = "simulated"
BASE_SETTINGS = load_settings(
    topics=TOPICS,
    group=GROUP,
    max_batch=16,
    max_wait_ms=5,
    max_inflight_records=64,
    max_inflight_bytes=1 << 20,
    flush_interval_s=0.3,
    max_cached_streams=24,
    session_timeout_s=2,
    heartbeat_interval_s=0.4,
    rebalance_timeout_s=4,
    transaction_timeout_s=6,
    commit_timeout_s=2,
    revoke_timeout_s=1.5,
    request_timeout_s=1,
)
_LOOK_S = 1.0
_FOLLOW_S = 0.1
_METRICS = Metrics(TOPICS)


class ProcessEndedError(BaseException):
    """Leaves the callback in which the process ended; nothing of the process runs after it."""


class SimulatedCrashPoints(CrashPoints):
    """Tells the world which points are reached."""

    def __init__(self, reached: Callable[[str], None]) -> None:
        super().__init__(None)
        self._reached = reached

    def reach(self, name: str) -> None:
        """See CrashPoints."""
        self._reached(name)
        process = PROCESS.get()
        if process is not None and not process.alive:
            raise ProcessEndedError


def end_process(code: int) -> NoReturn:
    """Stands for os._exit."""
    process = PROCESS.get()
    if process is not None:
        process.crash(f"exit {code}")
    raise ProcessEndedError


@contextmanager
def simulated_process_calls(loop: SimulatedLoop) -> Iterator[None]:
    """Time, the end of a process and the connection to Redis are the simulation's meanwhile."""
    with (
        mock.patch("time.time", loop.time),
        mock.patch("time.monotonic", loop.time),
        mock.patch.object(os, "_exit", end_process),
    ):
        yield


class WorkerProcess:
    """One life of a worker."""

    def __init__(
        self,
        loop: SimulatedLoop,
        brokers: SimulatedBrokers,
        redis: SimulatedRedis,
        settings: Settings,
        reached: Callable[[str], None],
        engine: ChainEngine,
    ) -> None:
        self.store = new_store(redis, settings, engine)
        known_brokers: Any = brokers
        self._leader = Leader(Group(settings, known_brokers, settings.group), _METRICS) if settings.shadow else None
        if settings.shadow:
            settings = settings.of_shadow(engine.fingerprint)
        self._settings = settings
        crash_points = SimulatedCrashPoints(reached)
        observers = Observers(_METRICS, Health(settings, _METRICS), crash_points)
        lock = ProcessingLock()
        group = Group(settings, known_brokers, settings.group)
        takeover = TakeOver(
            settings,
            known_brokers,
            self.store,
            observers,
            new_token=lambda: f"{loop.random.getrandbits(64):016x}",
        )
        checkpointer = Checkpointer(settings, self.store, takeover, lock, observers)
        self.manager = PartitionManager(
            settings,
            group,
            publisher_factory(settings, known_brokers, crash_points),
            takeover,
            checkpointer,
            lock,
            observers,
            self._leader,
        )
        any_engine: Any = engine
        consumer: Any = SimulatedConsumer(settings, self.manager, brokers)
        self.consumer = consumer
        self.pipeline = Pipeline(settings, any_engine, self.consumer, self.manager, checkpointer, lock, observers)
        app: Any = self.consumer
        self._monitor = Monitor(settings, app, known_brokers, self.manager, self.pipeline, self.store, observers)
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Stop well, as after SIGTERM."""
        self._stop.set()

    async def run(self) -> None:
        """Until it is stopped, or dies."""
        consumer = self.consumer
        member = asyncio.create_task(_or_die(consumer.stay_in_group))
        tasks = [
            asyncio.create_task(_or_die(lambda: consumer.take_batches(self.pipeline.process))),
            asyncio.create_task(_or_die(consumer.fetch_records)),
            asyncio.create_task(_or_die(self._flush)),
            asyncio.create_task(_or_die(self._look)),
            asyncio.create_task(_or_die(self._follow)),
        ]
        await self._stop.wait()
        member.cancel()
        await asyncio.wait([member])
        await consumer.leave()
        for task in tasks:
            task.cancel()
        process = PROCESS.get()
        assert process is not None
        process.crash("stopped")

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(self._settings.flush_interval_s or _LOOK_S)
            await self.pipeline.flush()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            await self._monitor.look()

    async def _follow(self) -> None:
        while self._leader is not None:
            await asyncio.sleep(_FOLLOW_S)
            await self._monitor.follow(self._leader)


def new_store(redis: SimulatedRedis, settings: Settings, engine: ChainEngine = MODELS[0]) -> StateStore:
    """The worker's store on the simulated Redis."""
    with mock.patch.object(store, "connect", return_value=redis):
        return StateStore(settings, engine.config, engine.fingerprint)


async def _or_die(call: Callable[[], Awaitable[None]]) -> None:
    try:
        await call()
    except Exception as error:
        die(error)
