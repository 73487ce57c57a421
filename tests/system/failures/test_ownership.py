"""Several workers: partitions move between them, and a worker that lost a partition can no longer write for it."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.system.inputs import tweets
from tests.system.scene import Scene
from tests.system.worker_process import WorkerProcess

pytestmark = pytest.mark.slow

ENOUGH_RECORDS = 100
RARE_FLUSH_S = 600
SESSION_S = 6  # the least that a broker allows by default


@pytest.fixture
def scene(make_scene: Callable[..., Scene]) -> Scene:
    """Workers whose session ends soon, because the tests wait for its end."""
    return make_scene(session_timeout_s=SESSION_S)


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


def test_a_worker_paused_in_its_commit_past_its_session_is_fenced_and_joins_again(scene: Scene) -> None:
    sleeper = scene.start_worker(crash_at="offsets_sent:1:stop", flush_interval_s=RARE_FLUSH_S)
    scene.send(tweets(300))
    scene.wait_until(lambda: sleeper.stopped)
    with scene.feeding():
        heir = scene.start_worker()
        owned(heir, 4)
        # Once resumed, it commits at once, before it learns of the rebalance.
        sleeper.resume()
        sleeper.wait_for_metric("fenced_total", 4, by="kafka")
        owned(sleeper, 2)
    scene.wait_until_done()
    scene.drain()
    report = scene.report()
    assert report.exact, report
