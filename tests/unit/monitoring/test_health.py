"""The checks behind /live and /ready, and the server that answers them."""

import asyncio
import json
import socket

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from worker.errors import EXIT_FAILED, ListenError
from worker.monitoring.health import Health, HealthServer
from worker.monitoring.histogram import Exemplar
from worker.monitoring.metrics import Metrics
from worker.settings import Settings

BOUND_S = 60  # a hang fails the test instead of the run


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


class Worker:
    """The health and metrics of a worker, with a clock that the test sets."""

    def __init__(self, port=0, host="127.0.0.1"):
        self.settings = Settings(health_host=host, health_port=port, progress_timeout_s=60)
        self.metrics = Metrics(self.settings.topics)
        self.clock = Clock()
        self.health = Health(self.settings, self.metrics, self.clock)

    def well(self):
        self.health.assigned(4)
        self.health.flowing(True)
        self.health.kafka_answered(well=True)
        self.health.redis_answered(well=True)
        self.health.progress()
        return self

    def server(self):
        return HealthServer(self.settings, self.health, self.metrics)

    def failing(self, what="ready"):
        """The names and details of the checks that fail."""
        checks = self.health.ready() if what == "ready" else self.health.live()
        return {check.name: check.detail for check in checks if not check.ok}

    def get(self, path, **headers):
        """The status, content type and body of a real HTTP request."""

        async def ask():
            async with self.server() as server, aiohttp.ClientSession() as session:
                url = f"http://{self.settings.health_host}:{server.port}{path}"
                async with session.get(url, headers=headers) as answer:
                    return answer.status, answer.headers["Content-Type"], await answer.text()

        return bounded(ask())


def bounded(task):
    return asyncio.run(asyncio.wait_for(task, BOUND_S))


def test_a_healthy_worker_is_live_and_ready():
    worker = Worker().well()
    status, _, body = worker.get("/ready")
    assert status == 200
    assert json.loads(body)["status"] == "ready"
    status, _, body = worker.get("/live")
    assert status == 200
    assert json.loads(body) == {
        "status": "live",
        "checks": {"progress": {"ok": True, "detail": "last progress 0.0 s ago, at most 60 s"}},
    }


def test_a_worker_that_just_started_is_live_but_not_ready():
    worker = Worker()
    assert worker.failing("live") == {}
    assert worker.failing().keys() == {"assigned", "flowing", "kafka", "redis"}
    status, _, body = worker.get("/ready")
    answer = json.loads(body)
    assert status == 503
    assert answer["status"] == "not ready"
    assert answer["checks"]["kafka"] == {"ok": False, "detail": "not asked yet"}


@pytest.mark.parametrize(
    ("name", "happens"),
    [
        ("assigned", lambda health: health.assigned(None)),
        ("flowing", lambda health: health.flowing(False)),
        ("kafka", lambda health: health.kafka_answered(well=False)),
        ("redis", lambda health: health.redis_answered(well=False)),
    ],
)
def test_each_failing_condition_makes_the_worker_unready_and_is_named(name, happens):
    worker = Worker().well()
    happens(worker.health)
    assert list(worker.failing()) == [name]
    assert worker.failing("live") == {}
    worker.well()
    assert worker.failing() == {}


def test_a_worker_without_partitions_is_ready_once_the_group_has_assigned_none():
    worker = Worker().well()
    worker.health.assigned(0)
    assert worker.failing() == {}


def test_without_progress_a_worker_is_first_unready_and_then_not_live():
    worker = Worker().well()
    worker.clock.now_s += 20
    assert worker.failing() == {}
    worker.clock.now_s += 1
    assert worker.failing() == {"progress": "last progress 21.0 s ago, at most 20 s"}
    assert worker.failing("live") == {}
    worker.clock.now_s += 40
    assert worker.failing("live") == {"progress": "last progress 61.0 s ago, at most 60 s"}
    assert worker.get("/live")[0] == 503


def test_idle_rounds_are_progress():
    worker = Worker().well()
    for _ in range(10):
        worker.clock.now_s += 15
        worker.health.progress()
        assert worker.failing() == {}


def test_a_worker_that_never_makes_progress_is_not_live_after_the_timeout():
    worker = Worker()
    worker.clock.now_s += 61
    assert worker.failing("live")


def test_the_metrics_are_exposed_as_text_that_prometheus_reads():
    worker = Worker().well()
    worker.metrics.shifts(2)
    status, content_type, body = worker.get("/metrics")
    samples = {sample.name: sample.value for family in parse(body) for sample in family.samples}
    assert status == 200
    assert content_type.startswith("text/plain; version=0.0.4")
    assert samples["sentiment_shifts_total"] == 2
    assert samples["sentiment_last_progress_timestamp_seconds"] > 1.7e9


def test_the_metrics_say_whether_the_worker_is_ready():
    worker = Worker().well()
    assert "sentiment_ready 1.0" in worker.get("/metrics")[2]
    worker = Worker().well()
    worker.health.redis_answered(well=False)
    assert "sentiment_ready 0.0" in worker.get("/metrics")[2]


def test_a_scraper_that_asks_for_openmetrics_gets_it():
    content_type = Worker().get("/metrics", Accept="application/openmetrics-text; version=1.0.0")[1]
    assert content_type.startswith("application/openmetrics-text")


def test_the_trace_of_a_latency_is_served_where_openmetrics_is_asked_for_and_nowhere_else():
    worker = Worker()
    worker.metrics.committed("tweets", [], [0.1], [Exemplar(0.1, "1" * 32, "2" * 16)])
    exemplar = f'# {{span_id="{"2" * 16}",trace_id="{"1" * 32}"}} 0.1'
    assert exemplar in worker.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")[2]
    for accept in ("text/plain", "*/*", ""):
        assert "trace_id" not in worker.get("/metrics", Accept=accept)[2]


def test_other_paths_are_not_found():
    assert Worker().get("/")[0] == 404


def test_a_taken_port_is_refused_with_the_port_and_the_flag():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=rf"port {port} of 127.0.0.1 is taken.*--health-port") as error:
            bounded(Worker(port).server().start())
    assert error.value.exit_code == EXIT_FAILED


def test_an_address_of_another_machine_is_refused_with_the_flag():
    with pytest.raises(ListenError, match=r"cannot listen on port 0 of 192\.0\.2\.1.*--health-host"):
        bounded(Worker(host="192.0.2.1").server().start())


def test_port_zero_is_a_free_port_for_each_server():
    async def two():
        async with Worker().server() as one, Worker().server() as other:
            return one.port, other.port

    one, other = bounded(two())
    assert 0 not in (one, other)
    assert one != other


def test_open_connections_do_not_delay_the_shutdown():
    worker = Worker().well()

    async def hang_on():
        async with worker.server() as server, aiohttp.ClientSession() as session:
            idle = await session.get(f"http://127.0.0.1:{server.port}/live")
            half, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET /live HTTP/1.1\r\nHost: here\r\n")
            await writer.drain()
            await server.close()
            assert await half.read() == b""
            idle.close()
            writer.close()

    bounded(hang_on())


def test_the_port_is_free_again_after_the_shutdown():
    worker = Worker()

    async def once():
        async with worker.server() as server:
            return server.port

    port = bounded(once())
    with socket.create_server(("127.0.0.1", port)):
        pass
