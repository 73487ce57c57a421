"""What the whole path from texts to results costs beyond its word network, and in small batches.

On texts that were not met before.
"""

from __future__ import annotations

import gc
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from benchmarks.engine.figures import Bar, BenchRow
from benchmarks.engine.timing import cpu_seconds
from model.checkpoint import Checkpoint
from model.inference import engine as engine_module
from model.inference.batch import Request
from model.inference.engine import InferenceEngine
from model.inference.kernels.recurrence import CPU_PRECISIONS, CpuPrecision

PATH_COST = Bar(1.25, is_least=False)
SMALL_BATCH = 8  # what a worker at low load has
SMALL_BATCH_COSTS = {SMALL_BATCH: Bar(1.5, is_least=False), 1: Bar(3.0, is_least=False)}
_WARM_UP_TEXTS = 64
# shown name -> attribute, of the engine's network or tokenizer
_OF_NETWORK = {
    "word network": "read_words",
    "stream LSTM": "step_streams",
    "stream logits": "stream_logits",
    "probabilities": "probabilities",
    "changes of the score": "top_changes",
}
_TOKENISING, _REST = "tokenising", "batches, words, states, results"


def measure_path(
    checkpoint: Checkpoint, before: Sequence[str], timed: Sequence[str], batch: int, num_rounds: int
) -> list[BenchRow]:
    """Rows for each precision: time of the path over that of its word network, and of small batches over large ones."""
    rows = []
    for precision in CPU_PRECISIONS:
        rows += [_row(checkpoint, precision, (before, timed), size, num_rounds) for size in (batch, SMALL_BATCH)]
        rows += _small_batches(checkpoint, precision, (before, timed), batch, num_rounds)
    return rows


def _small_batches(
    checkpoint: Checkpoint,
    precision: CpuPrecision,
    texts: tuple[Sequence[str], Sequence[str]],
    batch: int,
    num_rounds: int,
) -> list[BenchRow]:
    """What a text costs in small batches over what it costs in batches of `batch`, the best of the rounds of each."""
    sizes = (batch, *SMALL_BATCH_COSTS)
    before, timed = texts
    us: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(num_rounds):
        for size in sizes:
            engine = InferenceEngine(checkpoint, precision=precision)
            _score(engine, before, engine_module.MAX_BATCH_REQUESTS)
            _score(engine, before[:_WARM_UP_TEXTS], size)
            us[size].append(1e6 * cpu_seconds(partial(_score, engine, timed, size)) / len(timed))
    best = {size: min(each) for size, each in us.items()}
    return [
        BenchRow(
            name=f"cost of a text in batches of {size}, {precision}",
            value=best[size] / best[batch],
            unit="x",
            bar=bar,
            note=f"against batches of {batch}: {best[size]:.0f} and {best[batch]:.0f} us",
        )
        for size, bar in SMALL_BATCH_COSTS.items()
    ]


def _row(
    checkpoint: Checkpoint,
    precision: CpuPrecision,
    texts: tuple[Sequence[str], Sequence[str]],
    batch: int,
    num_rounds: int,
) -> BenchRow:
    profiles = [_profile(InferenceEngine(checkpoint, precision=precision), *texts, batch) for _ in range(num_rounds)]
    profile = min(profiles, key=lambda each: sum(each.values()))
    shown = ", ".join(f"{name} {1e6 * seconds / len(texts[1]):.1f}" for name, seconds in profile.items())
    return BenchRow(
        name=f"whole score path over its word network, {precision}, batch {batch}",
        value=sum(profile.values()) / profile["word network"],
        unit="x",
        bar=PATH_COST,
        note=f"us a text: {shown}",
    )


def _profile(engine: InferenceEngine, before: Sequence[str], timed: Sequence[str], batch: int) -> dict[str, float]:
    """Processor time of each stage while `timed` is scored, each text on a stream of its own."""
    _score(engine, before, engine_module.MAX_BATCH_REQUESTS)
    _score(engine, before[:_WARM_UP_TEXTS], batch)
    seconds: dict[str, float] = defaultdict(float)
    for name, attribute in _OF_NETWORK.items():
        _time_calls(engine._network, attribute, name, seconds)
    _time_calls(engine._tokenizer, "encode_texts", _TOKENISING, seconds)
    gc.collect()
    gc.freeze()  # as a worker does
    try:
        started = time.process_time()
        _score(engine, timed, batch)
        total = time.process_time() - started
    finally:
        gc.unfreeze()
    return {**seconds, _REST: total - sum(seconds.values())}


def _time_calls(owner: Any, attribute: str, name: str, seconds: dict[str, float]) -> None:
    """Add the time of each call of `owner`'s method to seconds[name]."""
    method: Callable[..., Any] = getattr(owner, attribute)

    def timed(*arguments: Any) -> Any:
        started = time.process_time()
        result = method(*arguments)
        seconds[name] += time.process_time() - started
        return result

    setattr(owner, attribute, timed)


def _score(engine: InferenceEngine, texts: Sequence[str], batch: int) -> None:
    for begin in range(0, len(texts), batch):
        engine.score([Request(number, text) for number, text in enumerate(texts[begin : begin + batch])])
