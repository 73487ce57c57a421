"""The points of the plots: rates over the size of a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.engine.contestants import onnx_peers, torch_peers
from benchmarks.engine.contestants.contestant import Contestant, ours, products
from benchmarks.engine.contestants.work import Work, texts_of
from benchmarks.engine.measurements.race import speed_of
from benchmarks.engine.timing import best_seconds
from model.checkpoint import Weights
from model.config import NUM_GATES, ModelConfig
from model.inference.kernels.recurrence import CPU_PRECISIONS

BATCHES = (1, 4, 16, 64, 256)
NUM_TOKENS = 20  # of every text, so that a batch keeps its size to the end


def measure_batches(
    config: ModelConfig, weights: Weights, num_texts: int, num_rounds: int, on_progress: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Texts per second and GF/s of the recurrent product, for each contestant and size of a batch."""
    texts = texts_of(np.full(num_texts, NUM_TOKENS), config.num_words)
    works = [Work(config, weights, texts, batch) for batch in BATCHES if batch <= num_texts]
    sessions = [onnx_peers.make_session(works[0], int8=int8) for int8 in (False, True)]
    points = []
    for work in works:
        on_progress(f"{config.hidden_size} cells: batches of {work.batch}")
        contestants = _contestants(work, *sessions)
        seconds = best_seconds([each.read for each in contestants], num_rounds)
        for each, took in zip(contestants, seconds, strict=True):
            speed = speed_of(each, config.hidden_size, texts, took, None)
            points.append(
                {
                    "hidden_size": config.hidden_size,
                    "batch": work.batch,
                    "name": each.name,
                    "title": each.title,
                    "texts_per_s": speed.texts_per_s,
                    "gflops": speed.gflops,
                    "flops_per_byte": flops_per_byte(config.hidden_size, work.batch),
                }
            )
    return points


def _contestants(work: Work, in_float32: Any, in_int8: Any) -> list[Contestant]:
    """The contestants whose rates depend on the size of a batch; with equal lengths, none of them pads."""
    return [
        *(ours(work, precision)[0] for precision in CPU_PRECISIONS),
        products(work),
        torch_peers.packed(work),
        onnx_peers.whole_batches(work, in_float32, int8=False),
        onnx_peers.whole_batches(work, in_int8, int8=True),
    ]


def flops_per_byte(hidden_size: int, batch: int) -> float:
    """Flops per byte of a step's product in float32, if weights and states are read and gates written once each."""
    cells, columns = hidden_size, NUM_GATES * hidden_size
    return 2 * batch * cells * columns / (4 * (cells * columns + batch * cells + batch * columns))


def points_by_title(points: Sequence[Mapping[str, Any]], hidden_size: int) -> dict[str, list[Mapping[str, Any]]]:
    """Title of a contestant -> its points with a number of cells, the smallest batch first."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for point in points:
        if point["hidden_size"] == hidden_size:
            found.setdefault(point["title"], []).append(point)
    return found
