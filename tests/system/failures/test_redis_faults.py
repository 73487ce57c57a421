"""Redis loses data, is rolled back, or stops. Kafka is the source of truth, so the output does not change."""

from __future__ import annotations

import time
from collections.abc import Callable

import redis

from tests.system.inputs import streams_in, tweets
from tests.system.scene import POLL_S, Scene
from tests.system.verifier import REDIS_TIMEOUT_S

NUM_RECORDS = 400
# enough checks to cover two or more probes of Redis; with rare flushes, a wrong probe is not corrected at once
NUM_LOOKS, LONG_FLUSH_S = 60, 2
FEW_STREAMS = 12  # three for each partition, of the forty that are sent


def forget_everything(scene: Scene) -> None:
    with redis.Redis.from_url(scene.workplace.settings.redis, socket_timeout=REDIS_TIMEOUT_S) as client:
        client.flushall()


def make_it_evict(scene: Scene) -> None:
    """Send one record to each partition, which makes the worker evict flushed states that are not in use."""
    num_partitions = scene.workplace.settings.partitions
    for partition in range(num_partitions):
        scene.send(tweets(1, seed=2, streams=streams_in({partition}, num_partitions, 1)))
    scene.wait_until_done()


def test_states_lost_in_redis_are_written_again_from_memory(scene: Scene) -> None:
    scene.send(tweets(NUM_RECORDS))
    worker = scene.launch_worker()
    scene.wait_until_done()
    forget_everything(scene)
    worker.wait_for_metric("flush_lost_total", 4)  # idle partitions notice, too
    assert worker.metric("rebuilt_records_total") == 0
    scene.send(tweets(NUM_RECORDS, seed=2))
    report = scene.finish()
    assert report.exact, report


def test_states_lost_in_redis_and_not_in_memory_are_rebuilt_from_the_log(
    make_scene: Callable[..., Scene],
) -> None:
    scene = make_scene(max_cached_streams=FEW_STREAMS)
    scene.send(tweets(NUM_RECORDS))
    worker = scene.launch_worker()
    scene.wait_until_flushed()
    make_it_evict(scene)
    with scene.feeding():
        forget_everything(scene)
        worker.wait_for_metric("rebuilt_records_total", NUM_RECORDS)
    report = scene.finish()
    assert report.exact, report
    assert "rebuilt" in worker.output()


def test_a_new_worker_rebuilds_states_that_redis_lost_while_none_ran(scene: Scene) -> None:
    scene.send(tweets(NUM_RECORDS))
    scene.launch_worker()
    assert scene.finish().exact
    forget_everything(scene)
    scene.send(tweets(NUM_RECORDS, seed=2))
    worker = scene.launch_worker()
    scene.wait_until_flushed()
    assert worker.metric("rebuilt_records_total") == NUM_RECORDS
    report = scene.finish()
    assert report.exact, report


def test_states_of_a_redis_rolled_back_to_an_older_snapshot_are_not_used(scene: Scene) -> None:
    server = scene.workplace.stack.redis_server
    scene.send(tweets(NUM_RECORDS))
    worker = scene.launch_worker()
    scene.wait_until_flushed()
    snapshot = server.snapshot()
    scene.send(tweets(NUM_RECORDS, seed=2))
    scene.wait_until_flushed()
    with scene.feeding():
        server.kill()
        server.restore(snapshot)
        server.start()
        worker.wait_for_metric("flush_lost_total", 4)
    report = scene.finish()
    assert report.exact, report


def test_a_new_worker_rebuilds_states_that_were_rolled_back_while_none_ran(scene: Scene) -> None:
    server = scene.workplace.stack.redis_server
    scene.send(tweets(NUM_RECORDS))
    scene.launch_worker()
    scene.wait_until_flushed()
    snapshot = server.snapshot()
    scene.send(tweets(NUM_RECORDS, seed=2))
    scene.wait_until_done()
    scene.drain()
    server.kill()
    server.restore(snapshot)
    server.start()
    scene.send(tweets(NUM_RECORDS, seed=3))
    scene.launch_worker()
    report = scene.finish()
    assert report.exact, report


def test_a_worker_waits_for_a_stopped_redis_and_fills_it_when_it_comes_back_empty(
    make_scene: Callable[..., Scene],
) -> None:
    scene = make_scene(max_cached_streams=FEW_STREAMS)
    server = scene.workplace.stack.redis_server
    scene.send(tweets(NUM_RECORDS))
    worker = scene.start_worker()
    scene.wait_until_done()
    server.kill()
    scene.send(tweets(NUM_RECORDS, seed=2))
    scene.wait_until(lambda: not worker.answers())
    assert worker.running
    server.erase()
    server.start()
    report = scene.finish()
    assert report.exact, report


def test_a_worker_waits_for_a_full_redis_and_writes_every_state_once_it_has_room(
    make_scene: Callable[..., Scene],
) -> None:
    scene = make_scene(flush_interval_s=LONG_FLUSH_S)
    client = redis.Redis.from_url(scene.workplace.settings.redis, socket_timeout=REDIS_TIMEOUT_S)
    worker = scene.start_worker()
    client.config_set("maxmemory", 1)
    try:
        scene.send(tweets(NUM_RECORDS))
        scene.wait_until_done()
        scene.wait_until(lambda: "used memory > 'maxmemory'" in worker.output())
        scene.wait_until(lambda: not worker.answers())
        for _ in range(NUM_LOOKS):
            assert not worker.answers(), "the worker takes a full Redis for a healthy one"
            time.sleep(POLL_S)
    finally:
        client.config_set("maxmemory", 0)
    report = scene.finish()
    assert report.exact, report


def test_a_takeover_survives_stale_connections_to_a_restarted_redis(scene: Scene) -> None:
    scene.send(tweets(NUM_RECORDS))
    first = scene.start_worker()
    scene.wait_until_flushed()
    scene.workplace.stack.redis_server.restart()
    second = scene.start_worker()
    second.wait_for_metric("owned_partitions", 2)
    assert first.running, first.tail()
    scene.send(tweets(NUM_RECORDS, seed=2))
    report = scene.finish()
    assert report.exact, report
