"""Our word network beside cuDNN's LSTM on a GPU, with the same weights, texts and batches.

A call takes token ids from the host and ends when its result is on the host. cuDNN gets its ids sorted and packed
beforehand, and returns the last hidden states; our planning is timed, and we return the classes after every token and a
summary of each text. Both run in float32, then both with products in tf32, which torch allows cuDNN by default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle, islice
from statistics import median
from time import perf_counter

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from benchmarks.engine.contestants.contestant import read_words
from benchmarks.engine.contestants.torch_peers import network, pack
from benchmarks.engine.contestants.work import RaggedTexts, Work, exact_hidden
from benchmarks.engine.figures import Bar, BenchRow
from model.errors import ComparisonError
from model.inference.devices import check_device
from model.inference.kernels.cpu import CpuNetwork
from model.inference.kernels.cuda import CudaNetwork
from model.inference.schedule import IntArray
from model.inference.state import FloatArray

BATCHES = {1: Bar(1.0), 16: Bar(1.0), 64: Bar(1.0), 1024: Bar(1.5)}
TOLERANCES = {"float32": 1e-4, "tf32": 3e-2}  # of our logits and cuDNN's hidden states, against float32 on the CPU

Call = Callable[[], FloatArray]


def cuda_rows(work: Work, on_progress: Callable[[str], None]) -> list[BenchRow]:
    """The rows of `measure_cuda`, or none without a GPU. Raises ConfigError if the GPU cannot be used."""
    if not torch.cuda.is_available():
        return []
    check_device("cuda", "tf32")
    on_progress(f"{work.config.hidden_size} cells, {torch.cuda.get_device_name()}")
    return measure_cuda(work)


def measure_cuda(
    work: Work, *, device: str = "cuda", num_calls: int = 100, batches: Mapping[int, Bar | None] | None = None
) -> list[BenchRow]:
    """The time of cuDNN over ours for each precision and batch size, by the medians of `num_calls` calls.

    device: "cpu" is for tests; its figures mean nothing. batches: texts in a batch -> bar, by default BATCHES.

    Raises ComparisonError if either computes other numbers.
    """
    title = torch.cuda.get_device_name() if device == "cuda" else device
    on_cpu = CpuNetwork(work.config, work.weights)
    embedding, lstm = (module.to(device) for module in network(work))
    rows = []
    for precision, tolerance in TOLERANCES.items():
        on_device = CudaNetwork(work.config, work.weights, device=device, precision=precision)
        with _cudnn(tf32=precision == "tf32"):
            for num_texts, bar in (BATCHES if batches is None else batches).items():
                calls = [work.texts.take(batch) for batch in islice(work.texts.batches(num_texts), num_calls)]
                ours = [our_call(on_device, work, texts) for texts in calls]
                theirs = [cudnn_call(embedding, lstm, replace(work, texts=texts)) for texts in calls]
                check(work, on_cpu, calls[0], (ours[0], theirs[0]), tolerance)
                our_s, their_s = _median_seconds(ours, theirs, num_calls, device)
                rows.append(
                    BenchRow(
                        name=f"CUDA {precision} against cuDNN packed, batch {num_texts}",
                        value=their_s / our_s,
                        unit="x",
                        hidden_size=work.config.hidden_size,
                        bar=bar,
                        note=f"{our_s * 1e6:,.0f} us a call against {their_s * 1e6:,.0f}, "
                        f"{num_texts / our_s:,.0f} texts/s against {num_texts / their_s:,.0f}, {title}",
                    )
                )
    return rows


def our_call(network: CpuNetwork, work: Work, texts: RaggedTexts) -> Call:
    """A call that returns the logits after every token, (tokens, 3)."""

    def read() -> FloatArray:
        return read_words(network, work.config.hidden_size, texts).logits[: texts.num_tokens]

    return read


def cudnn_call(embedding: nn.Module, lstm: nn.Module, work: Work) -> Call:
    """A call that returns the last hidden state of each text, (texts, H), the longest text first."""
    ids, batch_sizes = pack(work, _longest_first(work.texts))
    device = next(lstm.parameters()).device
    if device.type == "cuda":
        ids = ids.pin_memory()

    @torch.inference_mode()
    def read() -> FloatArray:
        _, (last, _) = lstm(PackedSequence(embedding(ids.to(device, non_blocking=True)), batch_sizes))
        hidden: FloatArray = last[0].cpu().numpy()
        return hidden

    return read


def check(work: Work, on_cpu: CpuNetwork, texts: RaggedTexts, calls: tuple[Call, Call], tolerance: float) -> None:
    """Raise ComparisonError unless our logits and cuDNN's hidden states are those of the CPU, within `tolerance`."""
    expected = our_call(on_cpu, work, texts)(), exact_hidden(work.weights, texts)[_longest_first(texts)]
    for title, call, right in zip(("ours", "cuDNN"), calls, expected, strict=True):
        if not (largest := float(np.abs(call() - right).max())) <= tolerance:
            raise ComparisonError(f"{title} differs by {largest:.1e} on this GPU, and may by at most {tolerance:.0e}")


def _longest_first(texts: RaggedTexts) -> IntArray:
    return np.argsort(-texts.lengths, kind="stable")


def _median_seconds(ours: list[Call], theirs: list[Call], num_calls: int, device: str) -> tuple[float, float]:
    """Median wall-clock time of our calls and theirs, taken in turns, after each batch was read once."""
    seconds: tuple[list[float], list[float]] = [], []
    for pair in islice(cycle(zip(ours, theirs, strict=True)), len(ours) + num_calls):
        for call, taken in zip(pair, seconds, strict=True):
            _synchronize(device)
            begin = perf_counter()
            call()
            _synchronize(device)
            taken.append(perf_counter() - begin)
    our_s, their_s = (median(taken[len(ours) :]) for taken in seconds)
    return our_s, their_s


def _synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


@contextmanager
def _cudnn(*, tf32: bool) -> Iterator[None]:
    """Allow or forbid cuDNN tf32 within the block; the flag is one of the process."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = tf32
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before
