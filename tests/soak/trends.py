"""Whether a figure grows: a slope within each life of a process, with its confidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

HOUR_S = 3600.0
NORMAL_QUANTILE = 1.959964  # 0.975: of an interval that holds the slope in 95% of the runs
MAX_GROWTH = 0.05  # of the mean, over the run
NUM_BLOCKS = 30  # of a run; neighbouring samples depend on each other, means of blocks hardly do
MIN_BLOCKS = 4


class Point(NamedTuple):
    """A figure at a time. `life` tells apart what began anew, such as the processes of one worker."""

    life: str
    time_s: float
    value: float


class Trend(NamedTuple):
    """The slope an hour with its confidence interval, and whether the figure grows.

    Growing: even at the lower end of the interval, the run adds more than MAX_GROWTH of the mean.
    """

    num_points: int
    mean: float
    slope_per_h: float
    low_per_h: float
    high_per_h: float
    growing: bool


def trend(points: Iterable[Point], run_s: float, warm_s: float) -> Trend | None:
    """The common slope of all lives, each with a level of its own; None where too few blocks are left.

    warm_s: the beginning of each life is left out, in which caches fill. Ordinary least squares on means of blocks of
    the run, with Student's t for the interval.
    """
    lives: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        lives[point.life].append(point)
    settled = [[one for one in life if one.time_s - life[0].time_s >= warm_s] for life in lives.values()]
    blocks = [_blocks(life, run_s / NUM_BLOCKS) for life in settled if life]
    kept = [block for block in blocks if len(block) > 1]
    times, values = (np.concatenate([_centred(life, axis) for life in kept] or [np.empty(0)]) for axis in (0, 1))
    freedom = len(times) - len(kept) - 1
    if len(times) < MIN_BLOCKS or freedom < 1:
        return None
    spread = float((times**2).sum())
    slope = float((times * values).sum()) / spread
    error = float(np.sqrt(((values - slope * times) ** 2).sum() / freedom / spread))
    reach = _t_quantile(freedom) * error
    mean = float(np.mean([one.value for life in settled for one in life]))
    growing = (slope - reach) * run_s > MAX_GROWTH * max(abs(mean), 1.0)
    low, high = HOUR_S * (slope - reach), HOUR_S * (slope + reach)
    return Trend(sum(map(len, settled)), mean, HOUR_S * slope, low, high, growing)


def _t_quantile(freedom: int) -> float:
    """Student's t at 0.975, to a percent from four degrees of freedom on (Abramowitz and Stegun, 26.7.5)."""
    z = NORMAL_QUANTILE
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


def _blocks(life: Sequence[Point], block_s: float) -> NDArray[np.float64]:
    """Mean time and value of each block of a life. Shape (blocks, 2)."""
    blocks: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for point in life:
        blocks[int(point.time_s // block_s)].append((point.time_s, point.value))
    return np.array([np.mean(block, axis=0) for _, block in sorted(blocks.items())])


def _centred(block: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    return np.asarray(block[:, axis] - block[:, axis].mean())
