"""A GPU, where there is one: our word network beside cuDNN's LSTM, on the same weights, texts and batches.

A call takes token ids from the host and ends when its result is there. cuDNN gets its ids sorted and packed before the
time runs, and gives the last hidden states; ours plans inside the time, and gives the classes after every token
and a summary of each text. Both run in float32, then both with products in tf32, which torch lets cuDNN use by default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle, islice
from statistics import median
from time import perf_counter

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from benchmarks.engine.contestants.torch_peers import network, pack
from benchmarks.engine.contestants.work import RaggedTexts, Work, exact_hidden
from benchmarks.engine.figures import Bar, BenchRow
from model.errors import ComparisonError
from model.inference.devices import check_device
from model.inference.kernels.cpu import CpuNetwork
from model.inference.kernels.cuda import CudaNetwork
from model.inference.schedule import IntArray, schedule
from model.inference.state import FloatArray, WordState

BATCHES = {1: Bar(1.0), 16: Bar(1.0), 64: Bar(1.0), 1024: Bar(1.5)}
TOLERANCES = {"float32": 1e-4, "tf32": 3e-2}  # of our logits and cuDNN's hidden states, from those in float32

Call = Callable[[], FloatArray]


def cuda_rows(work: Work, on_progress: Callable[[str], None]) -> list[BenchRow]:
    """Those of `measure_cuda`, none where there is no GPU. Raises ConfigError where it cannot be used."""
    if not torch.cuda.is_available():
        return []
    check_device("cuda", "tf32")
    on_progress(f"{work.config.hidden_size} cells, {torch.cuda.get_device_name()}")
    return measure_cuda(work)


def measure_cuda(work: Work, *, device: str = "cuda", num_calls: int = 100) -> list[BenchRow]:
    """For each precision and batch, how many times as long cuDNN takes, by the median of `num_calls` calls.

    Raises ComparisonError where one of the two does other work. device: cpu is for tests, its figures mean nothing.
    """
    title = torch.cuda.get_device_name() if device == "cuda" else device
    on_cpu = CpuNetwork(work.config, work.weights)
    embedding, lstm = (module.to(device) for module in network(work))
    rows = []
    for precision, tolerance in TOLERANCES.items():
        on_device = CudaNetwork(work.config, work.weights, device=device, precision=precision)
        with _cudnn(tf32=precision == "tf32"):
            for num_texts, bar in BATCHES.items():
                batches = [work.texts.take(batch) for batch in islice(work.texts.batches(num_texts), num_calls)]
                ours = [our_call(on_device, work, texts) for texts in batches]
                theirs = [cudnn_call(embedding, lstm, replace(work, texts=texts)) for texts in batches]
                check(work, on_cpu, batches[0], (ours[0], theirs[0]), tolerance)
                our_s, their_s = _median_seconds(ours, theirs, num_calls, device)
                rows.append(
                    BenchRow(
                        name=f"CUDA {precision} against cuDNN packed, batch {num_texts}",
                        value=their_s / our_s,
                        unit="x",
                        hidden_size=work.config.hidden_size,
                        bar=bar,
                        note=f"{our_s * 1e6:,.0f} us a call against {their_s * 1e6:,.0f}, {title}",
                    )
                )
    return rows


def our_call(network: CpuNetwork, work: Work, texts: RaggedTexts) -> Call:
    """-> (tokens, 3): what the texts' classes are after every token; one text is one stream."""
    whole = np.ones(len(texts.lengths), np.bool_)

    def read() -> FloatArray:
        plan = schedule(texts.lengths, final=whole, first=whole)
        state = WordState.empty(len(whole), work.config.hidden_size)
        return network.read_words(plan, texts.ids, state).logits[: plan.num_tokens]

    return read


def cudnn_call(embedding: nn.Module, lstm: nn.Module, work: Work) -> Call:
    """-> (texts, H): the last hidden states of all texts, the longest first."""
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
    """Raises ComparisonError where our logits or their hidden states are not those of the CPU."""
    expected = our_call(on_cpu, work, texts)(), exact_hidden(work.weights, texts)[_longest_first(texts)]
    for title, call, right in zip(("ours", "cuDNN"), calls, expected, strict=True):
        if not (largest := float(np.abs(call() - right).max())) <= tolerance:
            raise ComparisonError(f"{title} does other work on this GPU: off by {largest:.1e}, at most {tolerance:.0e}")


def _longest_first(texts: RaggedTexts) -> IntArray:
    return np.argsort(-texts.lengths, kind="stable")


def _median_seconds(ours: list[Call], theirs: list[Call], num_calls: int, device: str) -> tuple[float, float]:
    """Of a call of each, in turns, by the clock on the wall, after every batch was read once."""
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
    """What cuDNN may round its operands to; a flag of the process, put back afterwards."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = tf32
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before
