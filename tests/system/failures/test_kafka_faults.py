"""The broker stops and comes back. A worker may end in the meantime; a supervisor starts it again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.system.inputs import tweets
from tests.system.scene import Scene
from worker.stack import KafkaBroker

NUM_RECORDS = 2000
SMALL_BATCH = 16  # hundreds of commits, so that the broker stops during one
SHORT_COMMIT_S = 8  # about as long as a broker takes to come back: some commits are undecided, others are not


@pytest.mark.slow
@pytest.mark.parametrize("end", [KafkaBroker.kill, KafkaBroker.stop], ids=["killed", "stopped"])
def test_a_broker_restart_loses_and_duplicates_nothing(scene: Scene, end: Callable[[KafkaBroker], None]) -> None:
    (broker,) = scene.workplace.stack.brokers
    scene.supervised = True
    scene.send(tweets(NUM_RECORDS))
    worker = scene.start_worker(max_batch=SMALL_BATCH, commit_timeout_s=SHORT_COMMIT_S)
    worker.wait_for_metric("events_total", NUM_RECORDS / 10)
    end(broker)
    scene.wait_until(lambda: not worker.answers())
    broker.start()
    scene.send(tweets(100, seed=2))
    report = scene.finish()
    assert report.exact, report
