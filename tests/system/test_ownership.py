"""Several workers: partitions move between them, and a worker that lost a partition can no longer write for it."""

from __future__ import annotations

import signal
import time

import pytest

from tests.system.inputs import streams_in, tweets
from tests.system.scene import Scene
from tests.system.worker_process import WorkerProcess

pytestmark = pytest.mark.slow

ENOUGH_RECORDS = 100
LONG_WAIT_MS = 10_000
RARE_FLUSH_S = 600


def owned(worker: WorkerProcess, count: int) -> None:
    """Wait until the worker owns at least `count` partitions."""
    worker.wait_for_metric("owned_partitions", count)


def test_partitions_move_to_a_worker_that_joins_and_back_from_one_that_leaves_or_dies(scene: Scene) -> None:
    with scene.feeding():
        first = scene.start_worker()
        second = scene.start_worker()
        owned(second, 2)
        owned(first, 2)
        assert second.terminate() == 0
        owned(first, 4)
        third = scene.start_worker()
        owned(third, 2)
        third.kill()
        assert third.exit_code == -signal.SIGKILL
        owned(first, 4)
        first.wait_for_metric("events_total", first.metric("events_total") + ENOUGH_RECORDS)
    report = scene.finish()
    assert report.exact, report


def test_a_worker_paused_past_its_session_is_fenced_by_kafka_and_redis_and_joins_again(scene: Scene) -> None:
    busy, idle = streams_in({0, 1}, 4), streams_in({2, 3}, 4)
    scene.send(tweets(200, streams=idle))
    # A long wait for full batches, so that the worker is paused with records in memory. It flushes only when it loses
    # partitions, so Kafka must fence it on the busy ones, and Redis on the idle ones.
    sleeper = scene.start_worker(max_wait_ms=LONG_WAIT_MS, flush_interval_s=RARE_FLUSH_S)
    scene.wait_until_done()
    scene.send(tweets(100, seed=2, streams=busy))
    sleeper.wait_for_metric("inflight_records", 100)
    sleeper.pause()
    paused_at = time.monotonic()
    with scene.feeding(streams=busy):
        heir = scene.start_worker()
        owned(heir, 4)
        # Once resumed, it commits at once, before it learns of the rebalance.
        time.sleep(max(0.0, paused_at + LONG_WAIT_MS / 1000 - time.monotonic()))
        sleeper.resume()
        sleeper.wait_for_metric("fenced_total", 2, by="kafka")
        sleeper.wait_for_metric("fenced_total", 2, by="redis")
        owned(sleeper, 2)
    scene.wait_until_done()
    scene.drain()
    report = scene.report()
    assert report.exact, report
