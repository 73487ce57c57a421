"""The master of the Sentinels, or of some slots of a cluster, dies under load: its replica takes over.

The replica may lack the last writes that the master acknowledged, as after a roll-back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers.redis_servers import ClusterGroup, ConfiguredRedis, SentinelGroup, running, wait_until
from tests.system.inputs import tweets
from tests.system.scene import Scene

NUM_RECORDS = 400


@pytest.fixture
def sentinels(tmp_path: Path) -> Iterator[SentinelGroup]:
    group = SentinelGroup(tmp_path / "redis")
    with running(*group.servers):
        group.wait_ready()
        yield group


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ClusterGroup]:
    group = ClusterGroup(tmp_path / "redis")
    with running(*group.servers):
        group.wait_ready()
        yield group


def is_master(server: ConfiguredRedis) -> bool:
    with server.client() as client:
        return bool(client.info("replication")["role"] == "master")


def fail_over(scene: Scene, master: ConfiguredRedis, replica: ConfiguredRedis, *, hangs: bool) -> None:
    """End the master under load, and go on until everything is processed, also by a worker that comes later.

    hangs: it stops answering in place of dying, and comes back when another has its place.
    """
    scene.send(tweets(NUM_RECORDS))
    scene.launch_worker()
    scene.wait_until_done()
    with scene.feeding():
        if hangs:
            master.pause()
        else:
            master.kill()
        wait_until(lambda: is_master(replica))
        if hangs:
            master.resume()
    scene.wait_until_done()
    scene.drain()
    scene.launch_worker()
    scene.send(tweets(NUM_RECORDS, seed=2))
    scene.wait_until_done()
    scene.drain()
    report = scene.report(states=False)
    assert report.exact, report


@pytest.mark.parametrize("hangs", [False, True], ids=["dies", "hangs"])
def test_a_failover_by_sentinels_loses_and_repeats_nothing(
    make_scene: Callable[..., Scene], sentinels: SentinelGroup, hangs: bool
) -> None:
    fail_over(make_scene(redis=sentinels.url), sentinels.master, sentinels.replica, hangs=hangs)


@pytest.mark.parametrize("hangs", [False, True], ids=["dies", "hangs"])
def test_a_failover_of_a_cluster_s_node_loses_and_repeats_nothing(
    make_scene: Callable[..., Scene], cluster: ClusterGroup, hangs: bool
) -> None:
    fail_over(make_scene(redis=cluster.url), cluster.servers[0], cluster.servers[3], hangs=hangs)


def test_states_that_a_failover_lost_are_written_again(
    make_scene: Callable[..., Scene], sentinels: SentinelGroup
) -> None:
    scene = make_scene(redis=sentinels.url)
    scene.send(tweets(NUM_RECORDS))
    worker = scene.launch_worker()
    scene.wait_until_done()
    # Paused, the replica misses what the master acknowledges; the Sentinels then promote it as it is.
    sentinels.replica.pause()
    scene.send(tweets(NUM_RECORDS, seed=2))
    scene.wait_until_done()
    scene.wait_until(lambda: worker.metric("flush_lag_records") == 0)
    sentinels.master.kill()
    sentinels.replica.resume()
    wait_until(lambda: is_master(sentinels.replica))
    scene.send(tweets(NUM_RECORDS, seed=3))
    scene.wait_until_done()
    scene.drain()
    report = scene.report(states=False)
    assert report.exact, report
