"""kill -9 between every two of the numbered steps: the next worker makes everything exact.

The workers of a test die one after the other, each at a point of its own and on what the one before it left.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence

import pytest

from tests.system.inputs import STREAMS, tweets
from tests.system.scene import Scene
from tests.system.verifier import Report
from worker.process import CrashPoints

pytestmark = pytest.mark.slow

NUM_RECORDS = 240  # for each worker
MAX_BATCH = 48
NO_FLUSH_S = 3600
TAKE_OVER = ("fenced", "claimed", "planned", "replayed")
STEPS = tuple(name for name in CrashPoints.NAMES if name not in TAKE_OVER)


@pytest.fixture
def scene(make_scene: Callable[..., Scene]) -> Scene:
    """Workers of one static member: each gets its partitions without waiting for the session of the one before."""
    return make_scene(instance_id="only", max_batch=MAX_BATCH)


def die_at(scene: Scene, points: Sequence[str], **flags: object) -> Report:
    """One worker for each point, and one more that lives."""
    for seed, point in enumerate(points):
        scene.send(tweets(NUM_RECORDS, seed, STREAMS[:12]))
        worker = scene.launch_worker(crash_at=point, **flags)
        assert worker.wait_for_end() == -signal.SIGKILL, f"{point}: {worker.output()}"
    scene.launch_worker()
    return scene.finish()


def test_workers_killed_at_every_step_lose_and_double_nothing(scene: Scene) -> None:
    report = die_at(scene, [f"{step}:3" for step in STEPS])
    assert report.exact, report
    assert report.num_events == NUM_RECORDS * len(STEPS)
    assert report.num_shifts


def test_workers_killed_while_they_take_over_lose_and_double_nothing(scene: Scene) -> None:
    # the first leaves states behind the commits; nobody after it comes as far as to flush
    report = die_at(scene, ["applied:3", *TAKE_OVER], flush_interval_s=NO_FLUSH_S)
    assert report.exact, report
