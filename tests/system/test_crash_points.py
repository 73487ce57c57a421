"""kill -9 between every two of the numbered steps (worker/pipeline.py): the next worker makes everything exact."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.system.inputs import tweets
from tests.system.scene import Scene
from worker.process import CrashPoints

NUM_RECORDS = 600
MANY_BATCHES = {"max_batch": 48}
NO_FLUSH_S = 3600
TAKE_OVER = ("fenced", "claimed", "planned", "replayed")


@pytest.fixture
def scene(make_scene: Callable[..., Scene]) -> Scene:
    """A static member, whose partitions the next worker of its name gets without waiting for the session to end."""
    return make_scene(instance_id="only", **MANY_BATCHES)


def die_at(scene: Scene, point: str, **flags: object) -> None:
    worker = scene.worker(crash_at=point, **flags)
    worker.launch()
    assert worker.wait_for_end() == -signal.SIGKILL, worker.output()


@pytest.mark.parametrize("point", [name for name in CrashPoints.NAMES if name not in TAKE_OVER])
def test_nothing_is_lost_or_doubled_by_a_worker_killed_where_it(scene: Scene, point: str) -> None:
    scene.send(tweets(NUM_RECORDS))
    die_at(scene, f"{point}:4")
    scene.start_worker()
    report = scene.finish()
    assert report.exact, report


@pytest.mark.parametrize("point", TAKE_OVER)
def test_nothing_is_lost_or_doubled_by_a_worker_killed_while_it_takes_over_and_has(scene: Scene, point: str) -> None:
    scene.send(tweets(NUM_RECORDS))
    die_at(scene, "applied:10", flush_interval_s=NO_FLUSH_S)
    die_at(scene, point)
    scene.start_worker()
    report = scene.finish()
    assert report.exact, report
