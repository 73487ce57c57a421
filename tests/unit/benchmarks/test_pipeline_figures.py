"""The arithmetic behind the table of the pipeline's benchmark."""

from __future__ import annotations

import os
from math import inf, isnan

import pytest
from prometheus_client import generate_latest

from benchmarks.pipeline.pace import NUM_WARM_EVENTS, CpuAccount, Events, pace
from benchmarks.pipeline.stages import quantile, stage_times_ms
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


class EvenCpu(CpuAccount):
    """Half a second of CPU time per second since 1000."""

    def __init__(self) -> None:
        pass

    def used_s(self, at_s: float) -> float:
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
    account = CpuAccount(os.getpid())
    account.sample()
    begin = os.times()
    while os.times().user + os.times().system - begin.user - begin.system < 0.1:
        pass
    account.sample()
    assert account.used_s(inf) - account.used_s(0) >= 0.05
