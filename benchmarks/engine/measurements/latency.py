"""Latency of a single text, by the clock: ours and the peers' calls in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.engine.contestants import onnx_peers, torch_peers
from benchmarks.engine.contestants.contestant import Contestant, ours
from benchmarks.engine.contestants.work import Work, exact_hidden, texts_of
from benchmarks.engine.figures import Bar, BenchRow
from benchmarks.engine.measurements.race import check_hidden
from benchmarks.engine.timing import call_times_ms
from model.checkpoint import Weights
from model.config import ModelConfig
from model.inference.kernels.recurrence import CPU_PRECISIONS
from model.inference.state import DoubleArray

NUM_TOKENS = 20
LATENCY_MS = {256: Bar(1.0, is_least=False)}


def measure_latency(
    config: ModelConfig, weights: Weights, num_calls: int, on_progress: Callable[[str], None]
) -> list[BenchRow]:
    """The median time of a call for ours, torch and ONNX Runtime.

    Raises ComparisonError if one computes other hidden states than the rest.
    """
    on_progress(f"{config.hidden_size} cells: latency of one text")
    work = Work(config, weights, texts_of(np.array([NUM_TOKENS]), config.num_words), batch=1)
    own = [ours(work, precision)[0] for precision in CPU_PRECISIONS]
    contestants = [
        *own,
        torch_peers.padded(work),
        onnx_peers.whole_batches(work, onnx_peers.make_session(work, int8=False), int8=False),
    ]
    exact = exact_hidden(weights, work.texts)
    for each in contestants:
        check_hidden(each, exact)
    times_ms = call_times_ms([each.read for each in contestants], num_calls)
    return latency_rows(config.hidden_size, contestants, times_ms)


def latency_rows(hidden_size: int, contestants: Sequence[Contestant], times_ms: DoubleArray) -> list[BenchRow]:
    """A row for each contestant, given times (contestants, calls); ours have a bar and a ratio to `nn.LSTM`."""
    medians = dict(zip((each.name for each in contestants), np.median(times_ms, axis=1).tolist(), strict=True))
    rows = []
    for each, of_calls in zip(contestants, times_ms, strict=True):
        is_ours = each.name.startswith("ours_")
        note = f"p99 {np.quantile(of_calls, 0.99):.3f} ms"
        if is_ours:
            note += f"; {medians['padded'] / medians[each.name]:.1f} times as fast as torch"
        rows.append(
            BenchRow(
                name=f"{each.title.removesuffix(', padded')}: one text of {NUM_TOKENS} tokens",
                value=medians[each.name],
                unit="ms",
                hidden_size=hidden_size,
                bar=LATENCY_MS.get(hidden_size) if is_ours else None,
                note=note,
            )
        )
    return rows
