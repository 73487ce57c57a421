"""The checks, in order; one that fails or for which there is no time does not keep the next from being made.

1. laws: a text has the same result in any batch, in pieces, and with its stream's state stored in between
2. graphs: the captured blocks give the numbers of the network on the CPU, also with more rows than one group holds
3. errors of float32, tf32 and bf16 against the numpy oracle
4. texts a second beside cuDNN's packed LSTM at batches of 1 to 4,096
5. a worker on the device drains a backlog, if Kafka and Redis can be started here
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.engine.contestants.work import Work, random_tweets, random_weights
from benchmarks.engine.measurements.cudnn import measure_cuda
from benchmarks.machine import describe_machine
from model.checkpoint import DEFAULT_CHECKPOINT, load_checkpoint
from model.config import ModelConfig
from model.data.phrases import make_phrases
from model.inference.batch import Request
from model.inference.devices import PRECISIONS, Precision, check_device
from model.inference.engine import InferenceEngine, Result
from model.inference.kernels.cuda import CudaNetwork
from model.inference.kernels.gpu.blocks import MAX_ROWS
from model.inference.state import StreamState
from model.reference import ReferenceNetwork

BOUND = 1e-5  # of probabilities in float32, however texts are batched and split
ON_CPU, BOUND_ON_CPU = "on the CPU", 1e-4  # where the table of a large vocabulary is in 16-bit integers
BATCHES = (1, 16, 64, 256, 1024, 4096)
NUM_TEXTS, NUM_STREAMS = 400, 60
HIDDEN_SIZES = (128, 256)

Found = dict[str, Any]
Check = Callable[[], Found]


def usable_gpu() -> str:
    """The name of the GPU. Raises ConfigError, which says what to do, if there is none that can be used."""
    check_device("cuda", "float32")
    return torch.cuda.get_device_name()


def check_gpu(title: str, max_seconds: float, on_progress: Callable[[str], None] = lambda line: None) -> Found:
    """Make all checks on the GPU `title`; `holds` says whether none of them failed."""
    texts = [phrase.text for phrase in make_phrases(1, NUM_TEXTS)]
    checks: dict[str, Check] = {
        "laws": partial(check_laws, "cuda", texts),
        "graphs": partial(check_graphs, "cuda", texts),
        "errors": partial(measure_errors, "cuda", texts),
        **{f"cudnn_{size}": partial(measure_cudnn, size) for size in HIDDEN_SIZES},
        "worker": partial(drain_backlog, "cuda"),
    }
    versions = {"torch": torch.__version__, "cuda": torch.version.cuda}
    return {"device": title, "machine": describe_machine(), "versions": versions} | run_checks(
        checks, max_seconds, on_progress
    )


def run_checks(checks: dict[str, Check], max_seconds: float, on_progress: Callable[[str], None]) -> Found:
    """The findings of each check, with its seconds; or its error, or that there was no time for it."""
    begin = time.monotonic()
    found: Found = {}
    for name, check in checks.items():
        on_progress(name)
        started = time.monotonic()
        if started - begin > max_seconds:
            found[name] = {"skipped": "no time was left"}
            continue
        try:
            found[name] = check()
        except Exception as error:
            found[name] = {"holds": False, "error": f"{type(error).__name__}: {error}"}
        found[name]["seconds"] = round(time.monotonic() - started, 1)
    return {"holds": all(each.get("holds", True) for each in found.values()), "checks": found}


def engine_on(device: str, precision: Precision = "float32") -> InferenceEngine:
    """The packaged engine with its word LSTM on a torch device; "cpu" is for tests."""
    checkpoint = load_checkpoint(DEFAULT_CHECKPOINT)
    engine = InferenceEngine(checkpoint)
    engine._network = CudaNetwork(checkpoint.config, checkpoint.weights, device=device, precision=precision)
    return engine


def check_laws(device: str, texts: Sequence[str]) -> Found:
    """The largest differences of probabilities: alone, in pieces, in many calls with stored states, on the CPU."""
    engine = engine_on(device)
    requests = [Request(number % NUM_STREAMS, text) for number, text in enumerate(texts)]
    together = engine.score(requests)
    pieces, ends = [], []
    for request in requests:
        middle = len(request.text) // 2
        pieces += [
            request._replace(text=request.text[:middle], final=False),
            request._replace(text=request.text[middle:]),
        ]
        ends.append(len(pieces) - 1)
    in_pieces = engine.score(pieces)
    differences = {
        "one by one, with states as bytes": _difference(together, _in_calls(engine, requests, 1)),
        "calls of 7, with states as bytes": _difference(together, _in_calls(engine, requests, 7)),
        "pieces": _difference(together, [in_pieces[end] for end in ends]),
        ON_CPU: _difference(together, InferenceEngine.load(DEFAULT_CHECKPOINT).score(requests)),
    }
    bounds = dict.fromkeys(differences, BOUND) | {ON_CPU: BOUND_ON_CPU}
    holds = all(found <= bounds[name] for name, found in differences.items())
    return {"holds": holds, "bounds": bounds, "differences": differences}


def _in_calls(engine: InferenceEngine, requests: Sequence[Request], size: int) -> list[Result]:
    states: dict[Any, bytes] = {}
    results: list[Result] = []
    for begin in range(0, len(requests), size):
        call = [_continued(engine, request, states) for request in requests[begin : begin + size]]
        scored = engine.score(call)
        states |= {
            request.stream: result.state.to_bytes(engine.fingerprint)
            for request, result in zip(call, scored, strict=True)
        }
        results += scored
    return results


def _continued(engine: InferenceEngine, request: Request, states: dict[Any, bytes]) -> Request:
    if request.stream not in states:
        return request
    state = StreamState.from_bytes(states[request.stream], engine.config, engine.fingerprint)
    return request._replace(state=state)


def _difference(found: Sequence[Result], expected: Sequence[Result]) -> float:
    pairs = zip(found, expected, strict=True)
    return max(float(np.abs(np.subtract(a.probabilities, b.probabilities)).max()) for a, b in pairs)


def check_graphs(device: str, texts: Sequence[str]) -> Found:
    """Batches of each size of captured block, and of more rows than the largest, beside the CPU."""
    on_device, on_cpu = engine_on(device), InferenceEngine.load(DEFAULT_CHECKPOINT)
    differences = {}
    for num_rows in (1, 8, 33, 500, MAX_ROWS + 5):
        requests = [Request(number, texts[number % len(texts)]) for number in range(num_rows)]
        differences[num_rows] = _difference(on_device.score(requests), on_cpu.score(requests))
    return {"holds": max(differences.values()) <= BOUND, "bound": BOUND, "differences": differences}


def measure_errors(device: str, texts: Sequence[str]) -> Found:
    """The errors of each precision's probabilities against the oracle, each text from an empty state."""
    reference = ReferenceNetwork.load(DEFAULT_CHECKPOINT)
    expected = np.array([reference.read([(text, True)])[0].probabilities for text in texts])
    errors = {}
    for precision in PRECISIONS["cuda"]:
        results = engine_on(device, precision).score([Request(number, text) for number, text in enumerate(texts)])
        found = np.array([result.probabilities for result in results])
        same = float((found.argmax(axis=1) == expected.argmax(axis=1)).mean())
        off = np.abs(found - expected)
        errors[precision] = {"largest": float(off.max()), "mean": float(off.mean()), "same_labels": same}
    return {"holds": errors["float32"]["largest"] <= BOUND, "bound": BOUND, "errors": errors}


def measure_cudnn(
    hidden_size: int, device: str = "cuda", batches: Sequence[int] = BATCHES, num_calls: int = 20
) -> Found:
    """Times of a call in float32 and tf32, ours and cuDNN's, and texts a second, by size of a batch."""
    config = ModelConfig(num_words=30_000, num_buckets=1, embedding_size=hidden_size, hidden_size=hidden_size)
    work = Work(config, random_weights(config), random_tweets(4 * max(batches), config.num_words), max(batches))
    rows = measure_cuda(work, device=device, num_calls=num_calls, batches=dict.fromkeys(batches))
    return {"rows": [{"name": row.name, "against_cudnn": row.value, "note": row.note} for row in rows]}


def drain_backlog(device: str, num_records: int = 20_000) -> Found:
    """Records a second of a worker that drains a backlog on a local Kafka and Redis, or why there are none."""
    try:
        from benchmarks.pipeline.bench import Amounts, Bench  # noqa: PLC0415 - needs the extras local and test
        from benchmarks.pipeline.measurements.drain import drain  # noqa: PLC0415
        from benchmarks.pipeline.programs import OURS  # noqa: PLC0415
        from benchmarks.pipeline.records import produce  # noqa: PLC0415
        from worker.errors import DependencyError  # noqa: PLC0415
        from worker.stack import LocalStack  # noqa: PLC0415
    except ModuleNotFoundError as error:
        return {"skipped": f"no local servers: {error}"}
    try:
        with tempfile.TemporaryDirectory(prefix="sentiment-gpu-") as folder, LocalStack(append_only=True) as stack:
            bench = Bench(stack, Path(folder), None, Amounts(records=num_records))
            backlog = produce(stack, num_records, num_streams=1000)
            drained = drain(bench, replace(OURS, settings={"device": device}), backlog)
    except DependencyError as error:
        return {"skipped": f"no local servers: {error}"}
    rate = drained.pace.records_per_s if drained.pace else None
    return {"holds": drained.is_complete, "records": num_records, "records_per_s": rate}
