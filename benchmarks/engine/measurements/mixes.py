"""Cost per token of long texts, and of long beside short texts, against tweets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.engine.contestants.contestant import read_batch
from benchmarks.engine.contestants.work import MEAN_TOKENS, RaggedTexts, random_tweets, texts_of
from benchmarks.engine.figures import Bar, BenchRow
from benchmarks.engine.timing import best_seconds
from model.checkpoint import Weights
from model.config import ModelConfig
from model.inference.kernels.cpu import CpuNetwork
from model.inference.kernels.recurrence import CPU_PRECISIONS

REVIEW_TOKENS, SHORT_TOKENS, LONG_TOKENS = 230, 5, 500
MIX_SHARE = Bar(0.85)


def measure_mixes(
    config: ModelConfig, weights: Weights, batch: int, num_rounds: int, on_progress: Callable[[str], None]
) -> list[BenchRow]:
    """The lowest rate per token over the highest: of tweets, of reviews, and of half short and half long texts.

    Each mix has about as many tokens, read batch by batch, so that the cost of a call weighs as in serving.
    """
    half = np.resize([SHORT_TOKENS, LONG_TOKENS], batch)
    mixes = {
        "tweets": random_tweets(batch * REVIEW_TOKENS // MEAN_TOKENS, config.num_words),
        f"reviews of {REVIEW_TOKENS} words": texts_of(np.full(batch, REVIEW_TOKENS), config.num_words),
        f"half {SHORT_TOKENS}, half {LONG_TOKENS} words": texts_of(half, config.num_words),
    }
    rows = []
    for precision in CPU_PRECISIONS:
        on_progress(f"{config.hidden_size} cells, {precision}: mixes of short and long texts")
        network = CpuNetwork(config, weights, precision=precision)
        seconds = best_seconds(
            [partial(_read, network, config.hidden_size, texts, batch) for texts in mixes.values()], num_rounds
        )
        rows.append(mix_row(config.hidden_size, precision, mixes, seconds))
    return rows


def _read(network: CpuNetwork, hidden_size: int, texts: RaggedTexts, batch: int) -> None:
    for texts_of_batch in texts.batches(batch):
        read_batch(network, hidden_size, texts.take(texts_of_batch))


def mix_row(hidden_size: int, precision: str, mixes: dict[str, RaggedTexts], seconds: list[float]) -> BenchRow:
    """The row that follows from the time of each mix, in seconds."""
    rates = {title: texts.num_tokens / took for (title, texts), took in zip(mixes.items(), seconds, strict=True)}
    return BenchRow(
        name=f"{precision}: rate per token, slowest mix against fastest",
        value=min(rates.values()) / max(rates.values()),
        unit="x",
        hidden_size=hidden_size,
        bar=MIX_SHARE,
        note="; ".join(f"{title}: {rate:,.0f} tokens/s" for title, rate in rates.items()),
    )
