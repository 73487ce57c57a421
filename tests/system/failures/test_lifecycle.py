"""How a worker starts and ends: --until-end, signals, missing servers, a new checkpoint, at-least-once delivery."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from tests.checkpoints import save_tiny_checkpoint
from tests.system.inputs import tweets
from tests.system.oracle import Oracle
from tests.system.scene import Scene
from tests.system.verifier import REDIS_TIMEOUT_S, positions_behind
from worker.errors import EXIT_DEPENDENCY, EXIT_OK
from worker.stack.server import HOST, free_port

NUM_RECORDS = 400


def test_until_end_processes_the_existing_records_and_exits_with_0(scene: Scene) -> None:
    scene.send(tweets(NUM_RECORDS))
    worker = scene.launch_worker("--until-end")
    assert worker.wait_for_end() == EXIT_OK, worker.tail()
    report = scene.report()
    assert report.exact, report
    assert report.num_events == NUM_RECORDS


def test_sigterm_during_traffic_drains_flushes_and_exits_with_0(scene: Scene) -> None:
    with scene.feeding(rate=400):
        worker = scene.launch_worker(flush_interval_s=600)
        worker.wait_for_metric("events_total", NUM_RECORDS)
        assert worker.terminate() == EXIT_OK, worker.tail()
        assert not positions_behind(scene.workplace, scene.oracle)
    scene.launch_worker()
    report = scene.finish()
    assert report.exact, report


@pytest.mark.parametrize("name", ["redis", "kafka"])
def test_a_missing_server_is_named_with_its_address_and_ends_the_worker(scene: Scene, name: str) -> None:
    address = f"{HOST}:{free_port()}"
    worker = scene.launch_worker(**{name: f"redis://{address}/0" if name == "redis" else address})
    assert worker.wait_for_end() == EXIT_DEPENDENCY, worker.tail()
    assert f"{name.capitalize()} at " in worker.output()
    assert address in worker.output()
    assert "Traceback" not in worker.output()


@pytest.fixture
def evicting_redis(scene: Scene) -> Iterator[None]:
    with redis.Redis.from_url(scene.workplace.settings.redis, socket_timeout=REDIS_TIMEOUT_S) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        yield
        client.config_set("maxmemory-policy", "noeviction")


@pytest.mark.usefixtures("evicting_redis")
def test_a_redis_that_evicts_is_refused_with_what_to_set(scene: Scene) -> None:
    worker = scene.launch_worker()
    assert worker.wait_for_end() == EXIT_DEPENDENCY, worker.tail()
    assert "config set maxmemory-policy noeviction" in worker.output()


def test_a_new_checkpoint_rebuilds_all_states_before_its_first_event(scene: Scene, tmp_path: Path) -> None:
    before = scene.send(tweets(NUM_RECORDS))
    scene.launch_worker()
    scene.wait_until_flushed()
    scene.drain()
    expectation = scene.oracle.expect(before)

    checkpoint = save_tiny_checkpoint(tmp_path / "other", seed=2)
    scene.oracle = Oracle(scene.workplace.settings, checkpoint)
    after = scene.send(tweets(NUM_RECORDS // 2, seed=2))
    worker = scene.launch_worker(checkpoint=checkpoint)
    scene.wait_until_flushed()
    assert worker.metric("rebuilt_records_total") == NUM_RECORDS
    scene.drain()

    read_anew = scene.oracle.expect(before + after)
    expectation.events |= {record.id: read_anew.events[record.id] for record in after}
    report = scene.report(replace(expectation, states=read_anew.states))
    assert report.exact, report


def test_at_least_once_loses_nothing_and_only_repeats_earlier_events(make_scene: Callable[..., Scene]) -> None:
    scene = make_scene(delivery="at_least_once", instance_id="only", max_batch=48)
    scene.send(tweets(NUM_RECORDS))
    for point in ("produced:2", "applied:4"):
        worker = scene.launch_worker(crash_at=point)
        assert worker.wait_for_end() == -signal.SIGKILL, worker.tail()
    scene.launch_worker()
    report = scene.finish()
    assert report.twice  # sent by a worker that was killed before it committed their offset
    report.twice.clear()
    assert report.exact, report


def test_fausts_own_command_runs_the_same_worker(scene: Scene) -> None:
    scene.worker(program=("-m", "faust", "-A", "worker.app", "worker", "-l", "info")).start()
    scene.send(tweets(NUM_RECORDS))
    report = scene.finish()
    assert report.exact, report
