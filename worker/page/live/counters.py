"""Counters of bounded size: rates, percentiles and distinct names."""

from __future__ import annotations

import math
from collections import Counter, deque
from typing import Final

WINDOW_S: Final = 120
LATENCY_PERIOD_S: Final = 60
_BUCKETS_PER_DOUBLING: Final = 8
_NUM_BITS: Final = 1 << 22


class RateWindow:
    """Counts per second over the last WINDOW_S seconds."""

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, int]] = deque(maxlen=WINDOW_S)
        self.total = 0

    def add(self, number: int, now_s: float) -> None:
        """Count `number` more at `now_s`, which never goes back."""
        self.total += number
        second = int(now_s)
        if self._seconds and self._seconds[-1][0] == second:
            number += self._seconds.pop()[1]
        self._seconds.append((second, number))

    def rate(self, now_s: float, over_s: int = 5) -> float:
        """The mean per second of the last `over_s` whole seconds."""
        last = int(now_s)
        return sum(number for second, number in self._seconds if last - over_s <= second < last) / over_s

    def series(self, now_s: float) -> list[int]:
        """One count per second, oldest first, up to the last whole second."""
        counts = dict(self._seconds)
        return [counts.get(second, 0) for second in range(int(now_s) - WINDOW_S, int(now_s))]


class LatencySketch:
    """Counts latencies in buckets that grow by 9%, so that a percentile is exact to 9% however many there are.

    Percentiles are over the current period of LATENCY_PERIOD_S seconds and the one before it.
    """

    def __init__(self) -> None:
        self._period = 0
        self._before: Counter[int] = Counter()
        self._buckets: Counter[int] = Counter()

    def add(self, latency_ms: float, now_s: float) -> None:
        """Count one latency at `now_s`, which never goes back; a negative one, of clocks that differ, as zero."""
        self._forget_old(now_s)
        self._buckets[math.ceil(math.log2(max(latency_ms, 0.0) + 1.0) * _BUCKETS_PER_DOUBLING)] += 1

    def percentile(self, share: float, now_s: float) -> float | None:
        """The upper bound of the bucket that holds the percentile, in ms; None without recent latencies."""
        self._forget_old(now_s)
        counts = self._before + self._buckets
        left = share * counts.total()
        for bucket in sorted(counts):
            left -= counts[bucket]
            if left <= 0:
                return float(2 ** (bucket / _BUCKETS_PER_DOUBLING) - 1)
        return None

    def _forget_old(self, now_s: float) -> None:
        period = int(now_s // LATENCY_PERIOD_S)
        if period > self._period:
            self._before = self._buckets if period == self._period + 1 else Counter()
            self._buckets, self._period = Counter(), period


class DistinctCounter:
    """Estimates the number of distinct names by linear counting (Whang et al. 1990) in 512 KiB."""

    def __init__(self) -> None:
        self._bits = bytearray(_NUM_BITS // 8)
        self._num_set = 0

    def add(self, name: bytes) -> None:
        """Count `name`, once however often it comes."""
        byte, bit = divmod(hash(name) % _NUM_BITS, 8)  # a CRC spreads names that are numbered too evenly
        if not self._bits[byte] >> bit & 1:
            self._bits[byte] |= 1 << bit
            self._num_set += 1

    def estimate(self) -> int:
        """About the number of distinct names: exact to a per cent up to several millions."""
        num_unset = max(1, _NUM_BITS - self._num_set)
        return round(_NUM_BITS * math.log(_NUM_BITS / num_unset))
