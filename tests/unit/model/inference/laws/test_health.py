"""Tests of numerical health: a very long stream does not drift, and a state that is not finite is reset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from model import InferenceEngine, OpenText, ReferenceNetwork, Request, StreamState
from model.checkpoint import Checkpoint
from model.config import LABELS
from tests.unit.model.conftest import COMMON
from tests.unit.model.inference.laws.ways import Kernel

NUM_RECORDS = 100_000
CALL_RECORDS = 5_000


class _Rereader(ReferenceNetwork):
    """The reference network with a cache of texts that repeat; only the stream LSTM runs for each."""

    def __init__(self, checkpoint: Checkpoint, *, carry: bool = True) -> None:
        super().__init__(checkpoint, carry=carry)
        self._known: dict[str, OpenText] = {}

    def _read_piece(self, opened: OpenText, text: str, final: bool) -> OpenText:
        if text not in self._known:
            self._known[text] = super()._read_piece(opened, text, final)
        return self._known[text]


class _LongStream(NamedTuple):
    """Texts of one stream, and what the reference network reads: probabilities (texts, 3), and the state at the end."""

    texts: list[str]
    probabilities: np.ndarray
    carried: np.ndarray

    def calls(self) -> Iterator[tuple[list[str], np.ndarray]]:
        """The texts of each call, with the probabilities of the reference."""
        for begin in range(0, NUM_RECORDS, CALL_RECORDS):
            call = slice(begin, begin + CALL_RECORDS)
            yield self.texts[call], self.probabilities[call]


@pytest.fixture(scope="session")
def long_stream(checkpoint: Path) -> _LongStream:
    rng = np.random.default_rng(0)
    some = [" ".join(rng.choice(COMMON.split(), length)) for length in rng.integers(0, 9, 300)]
    texts = [some[number] for number in rng.integers(0, len(some), NUM_RECORDS)]
    reference, state, probabilities = _Rereader.load(checkpoint), None, []
    for begin in range(0, NUM_RECORDS, CALL_RECORDS):
        read = reference.read([(text, True) for text in texts[begin : begin + CALL_RECORDS]], state)
        state = read[-1].state
        probabilities += [result.probabilities for result in read]
    return _LongStream(texts, np.array(probabilities), state.carried)


def test_a_stream_of_a_hundred_thousand_records_does_not_drift(
    engine: InferenceEngine, kernel: Kernel, long_stream: _LongStream
) -> None:
    state = StreamState.empty(engine.config)
    for texts, wanted in long_stream.calls():
        found = engine.score([Request("s", text, state=state) for text in texts])
        state = found[-1].state
        probabilities = np.array([result.probabilities for result in found])
        np.testing.assert_allclose(probabilities, wanted, atol=kernel.reference_bound, rtol=0)
        named = [LABELS.index(result.label) for result in found]
        assert (wanted[np.arange(len(texts)), named] >= wanted.max(axis=1) - 2 * kernel.reference_bound).all()
        assert not any(result.reset for result in found)
    assert state.num_texts == NUM_RECORDS
    np.testing.assert_allclose(state.carried, long_stream.carried, atol=kernel.reference_bound, rtol=0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", ["stream", "words", "total"])
def test_a_state_with_one_number_that_is_not_finite_is_reported_and_its_stream_restarts(
    engine: InferenceEngine, kernel: Kernel, place: str, bad: float
) -> None:
    [before, *_] = engine.score([Request("s", "so good", final=False)])
    opened = before.state.open_text
    assert opened is not None
    carried, words, total = before.state.carried.copy(), opened.words.copy(), opened.total.copy()
    {"stream": carried, "words": words, "total": total}[place].flat[-1] = bad
    poisoned = StreamState(carried, 7, OpenText(opened.pending, opened.num_tokens, words, total))
    results = engine.score(
        [Request("s", "movie", state=poisoned), Request("s", "bad"), Request("other", "movie", state=before.state)]
    )
    assert [result.reset for result in results] == ["not_finite", None, None]
    clean = engine.score([Request("s", "movie"), Request("s", "bad")])
    for result, expected in zip(results, clean, strict=False):
        np.testing.assert_allclose(result.probabilities, expected.probabilities, atol=kernel.bound, rtol=0)
    assert [result.state.num_texts for result in results] == [1, 2, 1]
    assert all(np.isfinite(result.state.carried).all() for result in results)
