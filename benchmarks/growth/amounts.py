"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """The defaults take about half an hour on two cores, QUICK a few minutes."""

    streams: tuple[int, ...] = (1_000, 100_000, 2_000_000)
    rounds: int = 7  # of each number of streams, in turns
    batches: int = 8  # of a round
    takeover_streams: tuple[int, ...] = (1_000, 1_000_000)
    kills: int = 5  # of each number of streams
    cutover_streams: tuple[int, ...] = (1_000, 1_000_000)
    cutovers: int = 6  # of each number of streams
    rebuild_records: int = 100_000
    workers: tuple[int, ...] = (1, 2, 4, 8)
    worker_records: int = 60_000  # of each number of workers


QUICK = Amounts(
    streams=(1_000, 10_000, 100_000),
    rounds=3,
    batches=4,
    takeover_streams=(1_000, 50_000),
    kills=1,
    cutover_streams=(1_000, 20_000),
    cutovers=2,
    rebuild_records=20_000,
    workers=(1, 4),
    worker_records=20_000,
)
