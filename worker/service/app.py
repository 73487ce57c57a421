"""Puts the worker together: a Faust app with one agent, run by `sentiment worker` or `faust -A worker.app worker`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from worker.kafka.access.preflight import check_kafka
from worker.kafka.access.rights import check_rights, rights_of_follower
from worker.kafka.access.security import faust_credentials
from worker.kafka.brokers import Brokers
from worker.kafka.group import Group
from worker.kafka.topics import check_topics
from worker.kafka.transport.app import BatchApp
from worker.kafka.transport.assignment import PartitionHandler
from worker.kafka.transport.microbatch import Pacing
from worker.monitoring.health import Health, HealthServer
from worker.monitoring.metrics import Metrics
from worker.monitoring.observers import Observers
from worker.monitoring.tracing.tracing import Tracing, start_tracing
from worker.network import load_engine
from worker.ownership.checkpointer import Checkpointer
from worker.ownership.leader import Leader
from worker.ownership.manager import PartitionManager
from worker.ownership.processing_lock import ProcessingLock
from worker.ownership.publisher import publisher_factory
from worker.ownership.takeover import TakeOver
from worker.process import CrashPoints, calm_garbage_collector, die, give_back_memory
from worker.processing.pipeline import Pipeline
from worker.service.agreement import report_agreement
from worker.service.monitor import Monitor
from worker.settings import Settings
from worker.state.rehearsal import check_redis
from worker.state.store import StateStore
from worker.tools.comparison.publisher import new_publisher

logger = logging.getLogger(__name__)

_LOOK_S = 1.0
_GIVE_BACK_S = 60.0
_FOLLOW_S = 0.1
_FETCH_BYTES = 1 << 20
# A broker that has just come up may not know the topics yet. A group leader that asked it then has assigned nothing
# to anybody, and assigns again only when it sees them.
_METADATA_AGE_MS = 10_000


def create_app(settings: Settings, *, until_end: bool = False) -> BatchApp:
    """The worker as a Faust app. `until_end`: stop well once the records that were there at the start are done.

    Raises CheckpointError and SettingsError here; a server that is away or topics that do not fit end the process when
    it starts.
    """
    engine = load_engine(settings)
    store = StateStore(settings, engine.config, engine.fingerprint)
    metrics = Metrics(settings.topics)
    brokers, given = Brokers(settings), settings
    leader = Leader(Group(given, brokers, given.group), metrics) if given.shadow else None
    if given.shadow:
        settings = given.of_shadow(engine.fingerprint)
    metrics.model(engine.name, engine.fingerprint, engine.understanding.languages)
    health, tracing = Health(settings, metrics), start_tracing(settings, metrics)
    server = HealthServer(settings, health, metrics)
    crash_points = CrashPoints(settings.crash_at)
    observers = Observers(metrics, health, crash_points, tracing)
    lock = ProcessingLock()
    takeover = TakeOver(settings, brokers, store, observers)
    checkpointer = Checkpointer(settings, store, takeover, lock, observers)
    manager = PartitionManager(
        settings,
        Group(settings, brokers, settings.group),
        publisher_factory(settings, brokers, crash_points, tracing),
        takeover,
        checkpointer,
        lock,
        observers,
        leader,
    )

    async def preflight() -> None:
        engine.warm_up()
        await brokers.start()
        await _check_servers(settings, brokers, given)
        await pipeline.register_schemas()
        await server.start()
        calm_garbage_collector()

    app = _new_app(settings, manager, preflight)
    pipeline = Pipeline(settings, engine, app, manager, checkpointer, lock, observers)
    monitor = Monitor(settings, app, brokers, manager, pipeline, store, observers)

    async def flush() -> None:
        while not app.should_stop:
            await app.sleep(settings.flush_interval_s or _LOOK_S)
            await pipeline.flush()

    async def look() -> None:
        ends = await monitor.read_ends() if until_end else None
        while not app.should_stop:
            await app.sleep(_LOOK_S)
            await monitor.look()
            if ends is not None and await monitor.has_reached(ends):
                logger.info("the end is reached", extra={"action": "until_end"})
                os.kill(os.getpid(), signal.SIGTERM)
                return

    async def process(batches: Any) -> None:
        async for batch in batches:
            await _or_die(partial(pipeline.process, batch))

    app.agent(app.topic(*settings.topics, value_serializer="raw", key_serializer="raw"), name="sentiment")(process)
    for task in (flush, look, partial(_give_back, app)):
        app.task(partial(_or_die, task))
    if leader is not None:
        app.task(partial(_or_die, partial(_follow, app, monitor, leader)))
        comparisons = new_publisher(given, brokers, engine.fingerprint, lambda: manager.partitions)
        app.task(partial(report_agreement, given, metrics, comparisons))
    app.on_before_shutdown.connect(_closing(store, server, tracing), weak=False)
    return app


async def _check_servers(settings: Settings, brokers: Brokers, given: Settings) -> None:
    """`given`: of a shadow, the settings of the group that it follows; else the same settings."""
    if given.shadow:
        await check_rights(given, brokers, rights_of_follower(given))
    await check_kafka(settings, brokers)
    await check_redis(given)
    await asyncio.to_thread(check_topics, settings)


async def _give_back(app: BatchApp) -> None:
    while not app.should_stop:
        await app.sleep(_GIVE_BACK_S)
        await asyncio.to_thread(give_back_memory)


async def _follow(app: BatchApp, monitor: Monitor, leader: Leader) -> None:
    while not app.should_stop:
        await app.sleep(_FOLLOW_S)
        await monitor.follow(leader)


def _new_app(settings: Settings, handler: PartitionHandler, preflight: Callable[[], Awaitable[None]]) -> BatchApp:
    return BatchApp(
        settings.group,
        handler=handler,
        limits=settings,
        pacing=Pacing(settings.max_wait_ms / 1000),
        preflight=preflight,
        broker=[f"kafka://{server.strip()}" for server in settings.kafka.split(",")],
        broker_credentials=faust_credentials(settings),
        store="memory://",
        datadir=tempfile.gettempdir() + f"/sentiment-{os.getuid()}",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        table_standby_replicas=0,
        # Offsets that a log does not hold are looked into, never skipped.
        consumer_auto_offset_reset="none",
        consumer_max_fetch_size=_FETCH_BYTES,
        consumer_metadata_max_age_ms=_METADATA_AGE_MS,
        consumer_group_instance_id=settings.instance_id,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.heartbeat_interval_s,
        broker_rebalance_timeout=settings.rebalance_timeout_s,
        broker_request_timeout=max(settings.request_timeout_s, settings.session_timeout_s + 1),
        producer_request_timeout=settings.request_timeout_s,
        stream_recovery_delay=0.0,
        stream_wait_empty=True,
    )


async def _or_die(call: Callable[[], Awaitable[None]]) -> None:
    """Faust would only log an unexpected error in one of its tasks and leave its records behind: end the process."""
    try:
        await call()
    except Exception as error:
        die(error)


def _closing(store: StateStore, server: HealthServer, tracing: Tracing) -> Callable[..., Awaitable[None]]:
    async def close(*_: Any, **__: Any) -> None:
        await server.close()
        # The drain that follows still needs Kafka, and connects to Redis again.
        await store.close()
        await tracing.close()

    return close
