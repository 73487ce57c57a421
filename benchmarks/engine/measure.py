"""All measurements of a run, with the peers in the same process on one thread.

1. the race: word networks of 128 and 256 cells with random weights, on token ids (`race.py`)
2. mixes of short and long texts, and a single text (`mixes.py`, `latency.py`)
3. two processes at once, and the start and memory of a process (`processes.py`)
4. the network on a GPU beside cuDNN, if there is a GPU (`cudnn.py`)
5. the whole engine with the packaged network, beside VADER (`whole.py`)
6. rates over the size of a batch, for plots (`series.py`, `draw.py`)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.engine.contestants.work import VOCABULARY, Work, random_tweets, random_weights
from benchmarks.engine.draw import draw_all
from benchmarks.engine.figures import BenchRow, BenchSpeed, EngineBench
from benchmarks.engine.machine import bandwidths_gb_s, describe, matrix_gflops
from benchmarks.engine.measurements.cudnn import cuda_rows
from benchmarks.engine.measurements.latency import measure_latency
from benchmarks.engine.measurements.mixes import measure_mixes
from benchmarks.engine.measurements.processes import measure_processes, measure_start
from benchmarks.engine.measurements.race import race, ratios
from benchmarks.engine.measurements.series import measure_batches
from benchmarks.engine.measurements.whole import measure_whole
from benchmarks.engine.timing import one_thread
from model.checkpoint import find_checkpoint, load_checkpoint
from model.config import ModelConfig
from model.evaluation.plots import check_plot_file
from model.inference.engine import MAX_BATCH_CHARS

HIDDEN_SIZES = (128, 256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The amount of work and of repetitions."""

    vocabulary: int = VOCABULARY
    texts: int = 2048
    batch: int = 256
    rounds: int = 5
    calls: int = 1000  # of which a latency is the median
    starts: int = 3  # of fresh processes
    chars: int = MAX_BATCH_CHARS  # of the largest batch
    batches: int = 16  # per round of each process, when two run at once


QUICK = Sizes(vocabulary=500, texts=64, batch=32, rounds=1, calls=5, starts=1, chars=1 << 13, batches=1)
"""Sizes for every row in seconds; the figures mean nothing."""


def measure_engine(
    texts: Sequence[str],
    *,
    checkpoint: Path | None = None,
    quick: bool = False,
    plots: Path | None = None,
    on_progress: Callable[[str], None] = lambda line: None,
) -> EngineBench:
    """Measure everything.

    texts: `num_bench_texts` tweets for the rows of the whole engine. checkpoint: the network of these rows, by default
    the packaged one. plots: a directory for the plots, created if it is missing. `on_progress` is called with a line
    on each measurement.

    Raises CheckpointError if the checkpoint cannot be loaded, ComparisonError if a contestant computes other numbers
    than the rest, and ModelError if matplotlib is needed and not installed.
    """
    sizes, checkpoint_dir = QUICK if quick else Sizes(), find_checkpoint(checkpoint)
    loaded = load_checkpoint(checkpoint_dir)
    if plots:
        plots.mkdir(parents=True, exist_ok=True)
        check_plot_file(plots / "roofline.svg")
    with one_thread():
        machine = describe() | {"matrix_gflops": matrix_gflops(sizes.rounds)}
        speeds, rows = _networks(sizes, on_progress)
        rows += measure_whole(loaded, texts[: num_bench_texts(quick=quick)], sizes.batch, sizes.rounds, on_progress)
        series = _series(sizes, on_progress) if plots else {}
    rows += measure_start(checkpoint_dir, sizes.chars, sizes.starts, on_progress)
    settings = asdict(sizes) | {"mean_tokens": random_tweets(sizes.texts, sizes.vocabulary).mean_tokens}
    bench = EngineBench(machine=machine, settings=settings, speeds=speeds, rows=rows, series=series)
    if plots:
        draw_all(bench, plots)
    return bench


def num_bench_texts(*, quick: bool) -> int:
    """Number of texts that the rows of the whole engine read."""
    sizes = QUICK if quick else Sizes()
    return 2 * sizes.texts


def _networks(sizes: Sizes, on_progress: Callable[[str], None]) -> tuple[list[BenchSpeed], list[BenchRow]]:
    """All measurements on random weights."""
    speeds: list[BenchSpeed] = []
    rows: list[BenchRow] = []
    for hidden_size in HIDDEN_SIZES:
        work = _work(hidden_size, sizes)
        speeds += race(work, sizes.rounds, on_progress)
        rows += measure_mixes(work.config, work.weights, sizes.batch, sizes.rounds, on_progress)
        rows += measure_latency(work.config, work.weights, sizes.calls, on_progress)
        arguments = (sizes.vocabulary, sizes.batch, sizes.batches)
        rows.append(measure_processes(hidden_size, arguments, sizes.rounds, on_progress))
        rows += cuda_rows(work, on_progress)
    return speeds, [*ratios(speeds), *rows]


def _series(sizes: Sizes, on_progress: Callable[[str], None]) -> dict[str, Any]:
    batches = []
    for hidden_size in HIDDEN_SIZES:
        work = _work(hidden_size, sizes)
        batches += measure_batches(work.config, work.weights, sizes.batch, sizes.rounds, on_progress)
    return {"batches": batches, "bandwidths_gb_s": bandwidths_gb_s(sizes.rounds)}


def _work(hidden_size: int, sizes: Sizes) -> Work:
    config = ModelConfig(num_words=sizes.vocabulary, num_buckets=1, embedding_size=hidden_size, hidden_size=hidden_size)
    return Work(config, random_weights(config), random_tweets(sizes.texts, sizes.vocabulary), sizes.batch)
