"""A worker is killed with SIGKILL after each numbered step; the next worker makes the outcome exact.

The workers of a test die in sequence, each at a different point, and each starts from what the previous one left.
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
    """Workers that are one static member, so that none waits for the session of the previous one to end."""
    return make_scene(instance_id="only", max_batch=MAX_BATCH)


def die_at(scene: Scene, points: Sequence[str], **flags: object) -> Report:
    """Run one worker for each point, and one more that survives."""
    for seed, point in enumerate(points):
        scene.send(tweets(NUM_RECORDS, seed, STREAMS[:12]))
        worker = scene.launch_worker(crash_at=point, **flags)
        assert worker.wait_for_end() == -signal.SIGKILL, f"{point}: {worker.output()}"
    scene.launch_worker()
    return scene.finish()


def test_workers_killed_at_every_step_lose_and_duplicate_nothing(scene: Scene) -> None:
    report = die_at(scene, [f"{step}:3" for step in STEPS])
    assert report.exact, report
    assert report.num_events == NUM_RECORDS * len(STEPS)
    assert report.num_shifts


def test_workers_killed_during_a_takeover_lose_and_duplicate_nothing(scene: Scene) -> None:
    # the first one leaves states older than its commits; none of the next ones gets as far as a flush
    report = die_at(scene, ["applied:3", *TAKE_OVER], flush_interval_s=NO_FLUSH_S)
    assert report.exact, report
