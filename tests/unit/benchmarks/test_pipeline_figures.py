"""The arithmetic behind the table of the pipeline's benchmark."""

from __future__ import annotations

import os
import socket
from math import inf, isnan
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import generate_latest

from benchmarks.pipeline.latency import BOUNDS_MS, histogram, quantiles
from benchmarks.pipeline.pace import NUM_WARM_EVENTS, Events, pace
from benchmarks.pipeline.probes.metrics import Batches, batches, owned_partitions, quantile, stage_times_ms
from benchmarks.pipeline.probes.proc import UsageSamples, num_connections, rss_bytes
from benchmarks.pipeline.programs import ProgramProcess, earlier
from benchmarks.pipeline.report import Report
from tests.workplace import new_workplace
from worker.monitoring.metrics import Metrics


def test_a_quantile_is_linear_within_its_bucket_and_not_beyond_the_last_finite_bound():
    buckets = [(1.0, 10.0), (2.0, 30.0), (4.0, 40.0), (inf, 80.0)]
    assert quantile(0.25, buckets) == pytest.approx(1.5)
    assert quantile(0.5, buckets) == pytest.approx(4.0)
    assert quantile(0.99, buckets) == pytest.approx(4.0)
    assert isnan(quantile(0.5, [(1.0, 0.0), (inf, 0.0)]))


def test_the_times_of_every_stage_are_read_from_a_workers_metrics():
    metrics = Metrics(["tweets"])
    with metrics.stage("score"):
        pass
    found = stage_times_ms(generate_latest(metrics.registry).decode())
    assert set(found) == {"decode", "load", "score", "commit", "flush"}
    assert 0 < found["score"][0] < found["score"][1] < 1


class EvenCpu(UsageSamples):
    """Half a second of CPU time per second since 1000."""

    def __init__(self) -> None:
        pass

    def cpu_s(self, at_s: float) -> float:
        return (at_s - 1000) / 2


def test_start_and_first_micro_batch_count_only_in_the_figures_from_the_start():
    launched_s, num_events = 1000.0, NUM_WARM_EVENTS + 2000
    times_ms = [1010_000] * NUM_WARM_EVENTS + [1010_000 + number for number in range(1, 2001)]
    found = pace(Events(times_ms), launched_s, EvenCpu())
    assert found.records_per_s == pytest.approx(1000)
    assert found.cpu_us == pytest.approx(500)
    assert found.records_per_s_from_start == pytest.approx(num_events / 12)
    assert found.cpu_us_from_start == pytest.approx(6e6 / num_events)


def test_the_cpu_time_of_a_process_grows_with_its_work():
    usage = UsageSamples(os.getpid())
    usage.sample()
    begin = os.times()
    while os.times().user + os.times().system - begin.user - begin.system < 0.1:
        pass
    usage.sample()
    assert usage.cpu_s(inf) - usage.cpu_s(0) >= 0.05


def test_the_mean_memory_of_a_process_is_interpolated_between_samples():
    usage = UsageSamples(os.getpid())
    usage.sample()
    assert usage.mean_rss_bytes(0, 1) == pytest.approx(rss_bytes(os.getpid()), rel=0.5)


def test_only_established_connections_to_the_port_are_counted():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert num_connections(os.getpid(), port) == 0
        with socket.create_connection(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)):
            assert num_connections(os.getpid(), port) == 2
        assert num_connections(os.getpid(), port) == 0


def test_micro_batches_and_owned_partitions_are_read_from_a_workers_metrics():
    metrics = Metrics(["tweets"])
    metrics.batch(3, 0.001)
    metrics.batch(5, 0.001)
    for partition in (1, 12):
        metrics.lag("tweets", partition, 0)
    text = generate_latest(metrics.registry).decode()
    assert batches(text) == Batches(num_batches=2, num_records=8)
    assert owned_partitions(text) == {1, 12}


def test_every_latency_is_in_the_bucket_of_the_first_bound_that_is_not_below_it():
    found = histogram([0.1, BOUNDS_MS[0], BOUNDS_MS[0] + 0.01, BOUNDS_MS[-1] + 1])
    assert {bucket["up_to_ms"]: bucket["events"] for bucket in found if bucket["events"]} == {
        BOUNDS_MS[0]: 2,
        BOUNDS_MS[1]: 1,
        None: 1,
    }


def test_quantiles_reach_from_the_median_to_the_longest_latency():
    found = quantiles([float(number) for number in range(1001)])
    assert found == pytest.approx({"p50_ms": 500, "p99_ms": 990, "p99_9_ms": 999, "max_ms": 1000})
    assert all(map(isnan, quantiles([]).values()))


def test_a_ratio_leaves_out_what_cannot_be_divided():
    report = Report("", (), [])
    ours, before = (
        {"program": "ours", "p50_ms": 20.0, "max_ms": 1.0},
        {"program": "before", "p50_ms": 80.0, "max_ms": 0},
    )
    report.add_ratio("ours / before", ours, before, ("p50_ms", "max_ms", "rss_bytes"))
    assert report.to_dict()["ratios"] == [{"name": "ours / before", "ratios": {"p50_ms": 0.25}}]


def test_the_worker_before_runs_in_its_own_checkout_with_its_own_interpreter(tmp_path: Path):
    program = earlier(tmp_path / "checkout", tmp_path / "python")
    servers: Any = SimpleNamespace(kafka="127.0.0.1:9092", redis="redis://127.0.0.1:6379/0")
    process = ProgramProcess(program, new_workplace(servers), None, tmp_path)
    command = process.command()
    assert command[:5] == ["/usr/bin/env", "-u", "OPENBLAS_CORETYPE", "-C", str(tmp_path / "checkout")]
    assert f"PYTHONPATH={tmp_path / 'checkout'}" in command
    assert command[-4:] == [str(tmp_path / "python"), "-m", "worker.cli", "worker"]
