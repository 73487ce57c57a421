"""The benchmark beside cuDNN, on CPU tensors: its rows and its checks; the figures mean nothing there."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.engine.contestants.work import Work, random_tweets, random_weights
from benchmarks.engine.figures import Bar
from benchmarks.engine.measurements import cudnn
from model import ComparisonError
from model.config import ModelConfig
from model.inference.kernels.cpu import CpuNetwork


@pytest.fixture
def work() -> Work:
    config = ModelConfig(num_words=50, num_buckets=3, embedding_size=8, hidden_size=16)
    return Work(config, random_weights(config), random_tweets(7, vocabulary=50), batch=4)


def test_a_row_for_each_precision_and_batch_with_its_bar(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cudnn, "BATCHES", {1: Bar(1.0), 4: Bar(1.5)})
    rows = cudnn.measure_cuda(work, device="cpu", num_calls=2)
    assert [row.name.partition(" against ")[0] for row in rows] == ["CUDA float32"] * 2 + ["CUDA tf32"] * 2
    assert [row.bar for row in rows] == [Bar(1.0), Bar(1.5)] * 2
    assert all(row.value > 0 and row.unit == "x" and row.hidden_size == 16 for row in rows)


@pytest.mark.parametrize("wrong", [0, 1])
def test_a_side_that_computes_other_numbers_is_not_compared(work: Work, wrong: int) -> None:
    on_cpu = CpuNetwork(work.config, work.weights)
    embedding, lstm = cudnn.network(work)
    calls = [cudnn.our_call(on_cpu, work, work.texts), cudnn.cudnn_call(embedding, lstm, work)]
    cudnn.check(work, on_cpu, work.texts, (calls[0], calls[1]), 1e-4)
    right = calls[wrong]
    calls[wrong] = lambda: np.asarray(right() + 1, np.float32)
    with pytest.raises(ComparisonError, match=("ours", "cuDNN")[wrong]):
        cudnn.check(work, on_cpu, work.texts, (calls[0], calls[1]), 1e-4)
