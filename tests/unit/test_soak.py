"""The verdict of the soak test: what grows is told from what wavers, fills up at first or begins anew."""

from collections.abc import Callable
from random import Random

import pytest

from tests.soak.trends import Point, trend

RUN_S, WARM_S, INTERVAL_S = 3600, 180, 5


def points(value: Callable[[float], float], lives: int = 1, noise: float = 1.0) -> list[Point]:
    """A figure over an hour that depends on the age of the process, with noise that lasts for some samples."""
    random, life_s = Random(1), RUN_S // lives
    made, level = [], 0.0
    for time_s in range(0, RUN_S, INTERVAL_S):
        level = 0.6 * level + random.gauss(0, noise)
        made.append(Point(str(time_s // life_s), time_s, value(time_s % life_s) + level))
    return made


def test_a_figure_that_only_wavers_is_flat() -> None:
    found = trend(points(lambda _: 100.0), RUN_S, WARM_S)
    assert found is not None
    assert not found.growing
    assert found.low_per_h < 0 < found.high_per_h
    assert found.mean == pytest.approx(100, abs=2)


def test_caches_that_fill_at_the_beginning_of_each_life_are_no_growth() -> None:
    filled = points(lambda age_s: 100 + min(age_s, WARM_S), lives=6)
    found = trend(filled, RUN_S, WARM_S)
    assert found is not None
    assert not found.growing
    unaware = trend(filled, RUN_S, 0)
    assert unaware is not None
    assert unaware.growing


@pytest.mark.parametrize("lives", [1, 6])
def test_a_leak_is_found_also_where_the_process_is_started_again_and_again(lives: int) -> None:
    found = trend(points(lambda age_s: 100 + age_s / 100, lives), RUN_S, WARM_S)
    assert found is not None
    assert found.growing
    assert found.low_per_h < 36 < found.high_per_h


def test_growth_of_less_than_a_twentieth_over_the_run_is_flat_and_too_few_samples_say_nothing() -> None:
    found = trend(points(lambda age_s: 100 + age_s / 1000, noise=0.01), RUN_S, WARM_S)
    assert found is not None
    assert not found.growing
    assert found.slope_per_h == pytest.approx(3.6, abs=0.1)
    assert trend(points(lambda _: 1.0)[:40], RUN_S, WARM_S) is None
    assert trend([], RUN_S, WARM_S) is None
