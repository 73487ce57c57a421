"""What a rate needs, and what the command refuses."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from model import InferenceEngine
from worker.cli import app
from worker.errors import EXIT_MISUSED, EXIT_OK, SettingsError
from worker.tools.capacity import COSTS, Costs, Prices, costs_of, lines, measure_costs, plan_capacity

COST = Costs(engine_us=60, worker_us=40, redis_us=10, broker_us=20, redis_stream_bytes=1000, source="a test")
PRICES = Prices(core_hour=0.07, redis_gib_hour=0.0)


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["capacity", *arguments])
    return result.exit_code, result.output


def test_workers_brokers_and_redis_follow_from_the_costs_with_headroom():
    plan = plan_capacity(70_000, 2_000_000, COST, PRICES)
    assert plan.worker_cores == pytest.approx(7.0)
    assert (plan.workers, plan.partitions) == (10, 20)
    assert plan.broker_cores == pytest.approx(4.2)
    assert plan.brokers == 3
    assert plan.redis_servers == 1
    assert plan.redis_bytes == 2_000_000_000
    # 10 workers, 3 brokers of 4 cores, 1 core of Redis: 23 cores for 252 million texts an hour
    assert plan.dollars_a_million == pytest.approx(23 * 0.07 / 252)


def test_a_slow_rate_still_needs_a_worker_and_brokers_for_the_replicas():
    plan = plan_capacity(1, 1, COST, PRICES)
    assert (plan.workers, plan.brokers) == (1, 3)


def test_ten_times_the_rate_needs_ten_times_the_brokers_once_they_are_busy():
    assert plan_capacity(1_400_000, 1, COST, PRICES).brokers == 30


@pytest.mark.parametrize(
    ("rate", "streams", "prices", "said"),
    [
        (0, 1, PRICES, "--rate 0: must be a number of records a second above 0"),
        (-5, 1, PRICES, "--rate -5"),
        (float("nan"), 1, PRICES, "--rate nan"),
        (float("inf"), 1, PRICES, "--rate inf"),
        (1, 0, PRICES, "--streams 0: must be at least 1"),
        (1, 1, Prices(-1, 0), "--core-hour -1: must be dollars"),
        (1, 1, Prices(0, float("nan")), "--redis-gib-hour nan: must be dollars"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused_by_name(rate: float, streams: int, prices: Prices, said: str):
    with pytest.raises(SettingsError) as error:
        plan_capacity(rate, streams, COST, prices)
    assert said in str(error.value)


def test_an_unknown_kind_is_refused_with_those_that_there_are():
    with pytest.raises(SettingsError, match=r"--kind poems: .* take one of tweets, reviews"):
        costs_of("poems")


@pytest.mark.parametrize("arguments", [("--rate", "0"), ("--rate", "5", "--kind", "poems")])
def test_the_command_ends_as_misused_on_bad_input(arguments: tuple[str, ...]):
    code, output = run(*arguments)
    assert code == EXIT_MISUSED
    assert arguments[-1] in output


def test_the_command_prints_the_plan_the_services_and_the_source_of_the_costs():
    code, output = run("--rate", "100000", "--kind", "tweets")
    assert code == EXIT_OK
    for part in ("workers", "partitions", "brokers", "Redis", "dollars", "AWS", "Google", "Azure", "measured by"):
        assert part in output


def test_measuring_scales_the_rest_as_the_engine_and_says_so(tiny_engine: InferenceEngine):
    measured, known = measure_costs("reviews", tiny_engine), COSTS["reviews"]
    assert measured.engine_us > 0
    assert measured.worker_us / known.worker_us == pytest.approx(measured.engine_us / known.engine_us)
    assert measured.redis_stream_bytes == known.redis_stream_bytes
    assert "here and now" in lines(1, "reviews", 1, measured, PRICES)[-1]
