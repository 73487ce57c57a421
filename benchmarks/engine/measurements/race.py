"""The race: all contestants on the same texts with the same weights, in one process and on one thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np

from benchmarks.engine.contestants import onnx_peers, torch_peers
from benchmarks.engine.contestants.contestant import PRODUCTS, Contestant, fastest, ours, products
from benchmarks.engine.contestants.work import RaggedTexts, Work, exact_hidden
from benchmarks.engine.figures import Bar, BenchRow, BenchSpeed
from benchmarks.engine.timing import best_seconds
from model.config import NUM_GATES
from model.errors import ComparisonError
from model.inference.kernels.recurrence import CPU_PRECISIONS
from model.inference.state import FloatArray

TOLERANCE = 1e-4  # of hidden states in float32

Bars = dict[int, Bar]  # number of cells -> bar
AGAINST_PACKED: Bars = {128: Bar(2.8), 256: Bar(2.0)}
AGAINST_PADDED: Bars = {128: Bar(6.0), 256: Bar(4.5)}
OF_PRODUCTS: Bars = {256: Bar(0.8)}
AGAINST_ORT_INT8: Bars = {128: Bar(1.3), 256: Bar(1.2)}

RATIOS: tuple[tuple[str, str, str, Bars], ...] = (
    ("float32", "packed", "torch packed", AGAINST_PACKED),
    ("float32", "padded", "torch padded", AGAINST_PADDED),
    ("float32", PRODUCTS, "the matrix products alone", OF_PRODUCTS),
    ("float32", "ort_float32_bucketed", "ONNX Runtime bucketed", {}),
    ("int8", "packed_int8", "torch int8 packed", {}),
    ("int8", "ort_int8_bucketed", "ONNX Runtime int8 bucketed", AGAINST_ORT_INT8),
    ("int8", "ours_float32", "ours in float32", {}),
)
"""Our precision, the other contestant's name and its title in the row, and the bars of the ratio of ours to it."""


def race(work: Work, num_rounds: int, on_progress: Callable[[str], None]) -> list[BenchSpeed]:
    """The speed of every contestant. Raises ComparisonError if one computes other hidden states than the rest."""
    contestants = all_contestants(work)
    exact = exact_hidden(work.weights, work.texts)
    differences = [check_hidden(each, exact) if each.is_complete else None for each in contestants]
    on_progress(f"{work.config.hidden_size} cells, {len(contestants)} contestants, {num_rounds} rounds")
    seconds = best_seconds([each.read for each in contestants], num_rounds)
    return [
        speed_of(each, work.config.hidden_size, work.texts, took, difference)
        for each, took, difference in zip(contestants, seconds, differences, strict=True)
    ]


def all_contestants(work: Work) -> list[Contestant]:
    """All contestants, each peer with its best setting on this machine."""
    in_float32, in_int8 = (onnx_peers.bucketed_and_ahead(work, int8=int8) for int8 in (False, True))
    return [
        torch_peers.padded(work),
        torch_peers.packed(work),
        best(torch_peers.quantised(work)),
        *map(best, (*in_float32, *in_int8)),
        products(work),
        *chain.from_iterable(ours(work, precision) for precision in CPU_PRECISIONS),
    ]


def best(candidates: Sequence[Contestant]) -> Contestant:
    """The candidate that is fastest in a trial round."""
    return fastest(candidates, best_seconds([each.read for each in candidates], num_rounds=1))


def check_hidden(contestant: Contestant, exact: FloatArray) -> tuple[float, float]:
    """The largest and the mean difference of its hidden states from the exact ones.

    Raises ComparisonError if a contestant in float32 differs by more than TOLERANCE.
    """
    difference = np.abs(contestant.hidden() - exact)
    largest = float(difference.max())
    if contestant.is_exact and not largest <= TOLERANCE:
        raise ComparisonError(f"{contestant.title} computes other hidden states: they differ by {largest:.1e}")
    return largest, float(difference.mean())


def speed_of(
    contestant: Contestant, hidden_size: int, texts: RaggedTexts, seconds: float, difference: tuple[float, float] | None
) -> BenchSpeed:
    """The rates that follow from the time of one round over `texts`."""
    largest, mean = difference or (None, None)
    return BenchSpeed(
        name=contestant.name,
        title=contestant.title,
        hidden_size=hidden_size,
        texts_per_s=len(texts.lengths) / seconds,
        tokens_per_s=texts.num_tokens / seconds,
        gflops=2 * NUM_GATES * hidden_size**2 * texts.num_tokens / seconds / 1e9,
        max_difference=largest,
        mean_difference=mean,
    )


def ratios(speeds: Sequence[BenchSpeed]) -> list[BenchRow]:
    """The rows of RATIOS, our rates over the others', for each number of cells."""
    rows = []
    for hidden_size in dict.fromkeys(speed.hidden_size for speed in speeds):
        rates = {speed.name: speed.texts_per_s for speed in speeds if speed.hidden_size == hidden_size}
        for precision, other, title, bars in RATIOS:
            if f"ours_{precision}" not in rates:
                continue
            value, note = rates[f"ours_{precision}"] / rates[other], ""
            if other.endswith("_bucketed"):
                value, note = like_for_like(value, rates, precision, other)
            rows.append(
                BenchRow(
                    name=f"{precision} against {title}",
                    value=value,
                    unit="x",
                    hidden_size=hidden_size,
                    bar=bars.get(hidden_size),
                    note=note,
                )
            )
    return rows


def like_for_like(in_batch: float, rates: dict[str, float], precision: str, other: str) -> tuple[float, str]:
    """The lower of two ratios, both sides sorting within batches or both over all texts, and a note with the two."""
    ahead = rates[f"ours_{precision}_ahead"] / rates[other.replace("_bucketed", "_ahead")]
    return min(in_batch, ahead), f"batch by batch {in_batch:.2f}, sorted ahead {ahead:.2f}"
