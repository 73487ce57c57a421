"""Tests of the torch network against the oracle and the CPU network, on CPU tensors and on a GPU if there is one.

On CPU tensors nothing is captured, but blocks are padded as on a GPU, so the schedule, masks and numbers are the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from model import InferenceEngine, ReferenceNetwork, Request, Result, StreamState
from model.checkpoint import load_checkpoint
from model.inference.kernels.cuda import CudaNetwork
from model.inference.kernels.gpu import words
from model.inference.kernels.gpu.blocks import MAX_ROWS, ROW_CLASSES
from model.inference.kernels.gpu.queues import Queue
from model.inference.kernels.gpu.words import WordDevice
from model.reference import ReferenceResult
from tests.unit.model.conftest import COMMON, CONFIG, TEXTS, random_weights
from tests.unit.model.inference.laws.ways import assert_threads_do_not_disturb_each_other

BOUND = 1e-5
DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


Piece = tuple[int, str, bool]  # stream, text, final
PIECES = st.tuples(st.integers(0, 3), TEXTS, st.booleans())


def _from_bytes(engine: InferenceEngine, data: bytes) -> StreamState:
    return StreamState.from_bytes(data, engine.config, engine.fingerprint)


def _assert_same(found: Result, expected: Result | ReferenceResult) -> None:
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=BOUND, rtol=0)
    np.testing.assert_allclose(found.state.carried, expected.state.carried, atol=BOUND, rtol=0)
    opened, other = found.state.open_text, expected.state.open_text
    assert (opened is None) == (other is None)
    if opened and other:
        assert (opened.pending, opened.num_tokens) == (other.pending, other.num_tokens)
        np.testing.assert_allclose(opened.words, other.words, atol=BOUND, rtol=0)
        np.testing.assert_allclose(opened.total, other.total, atol=BOUND * max(opened.num_tokens, 1), rtol=0)


def _engine(checkpoint: Path, device: str, precision: str = "float32") -> InferenceEngine:
    engine = InferenceEngine.load(checkpoint)
    loaded = load_checkpoint(checkpoint)
    engine._network = CudaNetwork(loaded.config, loaded.weights, device=device, precision=precision)
    return engine


@pytest.fixture(scope="module", params=DEVICES)
def torch_engine(checkpoint: Path, request: pytest.FixtureRequest) -> InferenceEngine:
    return _engine(checkpoint, request.param)


@settings(max_examples=100)
@given(st.lists(PIECES, min_size=1, max_size=12), st.integers(1, 12))
def test_results_for_pieces_in_batches_with_stored_states_are_those_of_the_oracle(
    torch_engine: InferenceEngine, reference: ReferenceNetwork, pieces: list[Piece], call_size: int
) -> None:
    stored: dict[int, bytes] = {}
    found: dict[int, list[Result]] = {}
    for begin in range(0, len(pieces), call_size):
        call = pieces[begin : begin + call_size]
        states = {stream: _from_bytes(torch_engine, data) for stream, data in stored.items()}
        scored = torch_engine.score([Request(stream, text, final, states.get(stream)) for stream, text, final in call])
        for (stream, _, _), result in zip(call, scored, strict=True):
            stored[stream] = result.state.to_bytes(torch_engine.fingerprint)
            found.setdefault(stream, []).append(result)
    for stream, results in found.items():
        expected = reference.read([(text, final) for other, text, final in pieces if other == stream])
        for result, read in zip(results, expected, strict=True):
            _assert_same(result, read)


@settings(max_examples=50)
@given(st.lists(TEXTS, min_size=1, max_size=10))
def test_words_counts_and_scores_are_those_of_the_cpu(
    torch_engine: InferenceEngine, engine: InferenceEngine, texts: list[str]
) -> None:
    requests = [Request(number % 3, text, number % 4 != 2) for number, text in enumerate(texts)]
    for found, expected in zip(torch_engine.score(requests), engine.score(requests), strict=True):
        _assert_same(found, expected)
        changes, expected_changes = ([abs(word.change) for word in result.words] for result in (found, expected))
        np.testing.assert_allclose(changes, expected_changes, atol=2 * BOUND, rtol=0)
        assert (found.num_tokens, found.num_unknown) == (expected.num_tokens, expected.num_unknown)


def test_a_text_of_ten_thousand_tokens_has_the_oracles_result_beside_short_and_empty_ones(
    torch_engine: InferenceEngine, reference: ReferenceNetwork
) -> None:
    long = " ".join(np.random.default_rng(0).choice(COMMON.split(), 10_000))
    texts = ["good", "", long, "so bad !"]
    results = torch_engine.score([Request(number, text) for number, text in enumerate(texts)])
    for text, result in zip(texts, results, strict=True):
        _assert_same(result, reference.read([(text, True)])[0])
    halves = torch_engine.score([Request("s", long[:20_001], final=False), Request("s", long[20_001:])])
    _assert_same(halves[1], reference.read([(long, True)])[0])


def test_more_rows_than_one_group_holds_have_the_results_of_the_cpu(
    checkpoint: Path, engine: InferenceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.inference.engine.MAX_BATCH_REQUESTS", 3 * MAX_ROWS)
    rng = np.random.default_rng(2)
    texts = [" ".join(rng.choice(COMMON.split(), rng.integers(0, 12))) for _ in range(2 * MAX_ROWS + 5)]
    requests = [Request(number // 2, text, number % 5 != 0) for number, text in enumerate(texts)]
    for device in DEVICES:
        results = _engine(checkpoint, device).score(requests)
        for found, expected in zip(results, engine.score(requests), strict=True):
            _assert_same(found, expected)


def test_threads_that_score_at_once_do_not_disturb_each_other(torch_engine: InferenceEngine) -> None:
    assert_threads_do_not_disturb_each_other(torch_engine, num_calls=6, num_streams=20)


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
@pytest.mark.parametrize("device", DEVICES)
def test_rounded_operands_change_probabilities_by_little(
    checkpoint: Path, engine: InferenceEngine, device: str, precision: str
) -> None:
    rounded = _engine(checkpoint, device, precision)
    requests = [Request(number % 7, " ".join(COMMON.split()[number:] * 3)) for number in range(20)]
    differences = [
        np.abs(np.subtract(found.probabilities, expected.probabilities)).max()
        for found, expected in zip(rounded.score(requests), engine.score(requests), strict=True)
    ]
    assert max(differences) < 0.2
    assert np.mean(differences) < 0.03
    if precision == "bf16":
        assert max(differences) > BOUND, "the operands are not rounded at all"


class _LateQueue(Queue):
    """The worst case of a GPU: results are copied only when all work is done, from whatever their memory holds then."""

    def __init__(self) -> None:
        self._wanted: list[tuple[Tensor, Tensor]] = []

    def receive(self, tensor: Tensor) -> Tensor:
        host = torch.full_like(tensor, -7)
        self._wanted.append((host, tensor))
        return host

    def finish(self) -> None:
        while self._wanted:
            host, tensor = self._wanted.pop()
            host.copy_(tensor)


def test_results_that_arrive_late_are_those_of_their_own_group(
    checkpoint: Path, engine: InferenceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "Queue", _LateQueue)
    monkeypatch.setattr("model.inference.engine.MAX_BATCH_REQUESTS", 2 * MAX_ROWS)
    late = _engine(checkpoint, "cpu")
    requests = [Request(number, COMMON[: number % 30], number % 9 != 0) for number in range(MAX_ROWS + 40)]
    for found, expected in zip(late.score(requests), engine.score(requests), strict=True):
        _assert_same(found, expected)


class _Watched(TorchDispatchMode):
    """Fails on operations that cannot be captured: host reads of values, shapes that depend on values, copies."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        forbidden = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
        assert not forbidden & set(func.tags), func
        assert func.name() not in {"aten::_local_scalar_dense", "aten::_to_copy.device", "aten::item"}, func
        return func(*args, **(kwargs or {}))


def test_captured_work_needs_nothing_from_the_host_and_keeps_its_addresses() -> None:
    device = WordDevice(CONFIG, random_weights(CONFIG), "cpu", "float32")
    held = [device.rows.words, device.rows.total, device.rows.means, device.ids, device.logits, device.summary]
    before = [tensor.data_ptr() for tensor in held]
    for rows in ROW_CLASSES:
        with _Watched():
            device.begin[rows]()
            device.block[rows]()
            device.end[rows]()
    assert [tensor.data_ptr() for tensor in held] == before
    assert device.rows.operand.data_ptr() == device.rows.words[0].data_ptr()


def test_a_slot_without_a_token_changes_nothing() -> None:
    device = WordDevice(CONFIG, random_weights(CONFIG), "cpu", "float32")
    device.begin[8]()
    device.ids[:] = 3
    device.block[8]()
    held = [device.rows.words, device.rows.total, device.rows.means, device.logits]
    before = [tensor.clone() for tensor in held]
    assert device.rows.means[:8, 3].tolist() == [8.0] * 8
    device.ids[:] = -1
    device.block[8]()
    assert all(torch.equal(tensor, old) for tensor, old in zip(held, before, strict=True))
    device.begin[8]()
    assert not device.rows.words[:2, :8].any()
    assert device.rows.words[2, :8].eq(-1).all()
