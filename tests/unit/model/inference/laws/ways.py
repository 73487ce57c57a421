"""Shared by the tests of the laws: kernels and their bounds, streams of texts, ways to score them, comparisons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from model import InferenceEngine, OpenText, Request, Result, StreamState
from model.config import LABELS
from model.reference import ReferenceResult
from tests.unit.model.conftest import COMMON, TEXTS

Piece = tuple[int, str, bool]  # stream, text, whether it ends there
Read = Result | ReferenceResult


@dataclass(frozen=True)
class Kernel:
    """A way to run the network. Bounds hold for probabilities, scores and the numbers of a state."""

    name: str
    load: Callable[[Path], InferenceEngine]
    bound: float  # between two ways to score the same requests
    reference_bound: float  # to the reference network


KERNELS = [
    Kernel("float32", InferenceEngine.load, bound=1e-5, reference_bound=1e-5),
    Kernel("int8", partial(InferenceEngine.load, precision="int8"), bound=1e-5, reference_bound=0.05),
]


@st.composite
def streams_of_texts(draw: st.DrawFn) -> list[Piece]:
    """Whole texts of a few streams, in any order, including empty texts and texts of a single token."""
    texts = draw(st.lists(st.tuples(st.integers(0, 3), TEXTS), min_size=1, max_size=8))
    return [(stream, text, True) for stream, text in texts]


@st.composite
def streams_in_pieces(draw: st.DrawFn) -> list[Piece]:
    """The same with each text cut into pieces anywhere, interleaved with the pieces of other streams."""
    streams: dict[int, list[Piece]] = {}
    for stream, text, _ in draw(streams_of_texts()):
        cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
        spans = list(pairwise([0, *cuts, len(text)]))
        streams.setdefault(stream, []).extend(
            (stream, text[begin:end], number == len(cuts)) for number, (begin, end) in enumerate(spans)
        )
    return draw(reordered(streams))


@st.composite
def reordered(draw: st.DrawFn, streams: Mapping[int, Sequence[Piece]]) -> list[Piece]:
    """The requests of `streams` in any order that keeps the order within each stream."""
    order = draw(st.permutations([stream for stream, pieces in streams.items() for _ in pieces]))
    waiting = {stream: iter(pieces) for stream, pieces in streams.items()}
    return [next(waiting[stream]) for stream in order]


def by_stream(pieces: Iterable[Piece]) -> dict[int, list[Piece]]:
    """The requests of each stream, in order."""
    streams: dict[int, list[Piece]] = {}
    for piece in pieces:
        streams.setdefault(piece[0], []).append(piece)
    return streams


def joined(pieces: Iterable[Piece]) -> tuple[list[str], list[int]]:
    """The whole texts that end among the pieces of one stream, and the index of the piece that ends each."""
    texts, ends, begun = [], [], ""
    for number, (_, text, final) in enumerate(pieces):
        begun += text
        if final:
            texts.append(begun)
            ends.append(number)
            begun = ""
    return texts, ends


def read_together(engine: InferenceEngine, pieces: Sequence[Piece]) -> list[Result]:
    """Score all requests in one call."""
    return read_in_calls(engine, pieces, [len(pieces)])


def read_alone(engine: InferenceEngine, pieces: Sequence[Piece]) -> list[Result]:
    """Score every request in a call of its own."""
    return read_in_calls(engine, pieces, [])


def read_in_calls(
    engine: InferenceEngine, pieces: Sequence[Piece], call_sizes: Iterable[int], *, through_bytes: bool = False
) -> list[Result]:
    """Score in calls of these sizes, then one by one. `through_bytes`: store states as bytes between calls."""
    states: dict[int, StreamState] = {}
    results: list[Result] = []
    sizes = iter(call_sizes)
    while len(results) < len(pieces):
        call = pieces[len(results) : len(results) + next(sizes, 1)]
        scored = engine.score([Request(stream, text, final, states.get(stream)) for stream, text, final in call])
        assert len(scored) == len(call)
        for (stream, _, _), result in zip(call, scored, strict=True):
            states[stream] = _stored(engine, result.state) if through_bytes else result.state
        results += scored
    return results


def _stored(engine: InferenceEngine, state: StreamState) -> StreamState:
    return StreamState.from_bytes(state.to_bytes(engine.fingerprint), engine.config, engine.fingerprint)


def assert_same(found: Sequence[Read], expected: Sequence[Read], bound: float) -> None:
    """Assert that results agree pairwise in numbers, label and state."""
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=bound, rtol=0)
        np.testing.assert_allclose(one.score, other.score, atol=bound, rtol=0)
        assert has_label_of(one, other, bound)
        if isinstance(one, Result) and isinstance(other, Result):
            assert (one.language, one.known, one.not_understood) == (other.language, other.known, other.not_understood)
        _assert_same_state(one.state, other.state, bound)


def has_label_of(found: Read, expected: Read, bound: float) -> bool:
    """Whether the labels agree. If two classes are almost equally likely, either label will do."""
    expected_best = max(expected.probabilities)
    return bool(expected.probabilities[LABELS.index(found.label)] >= expected_best - 2 * bound)


def assert_threads_do_not_disturb_each_other(engine: InferenceEngine, num_calls: int, num_streams: int) -> None:
    """Assert that calls from four threads at once have the results of single calls."""
    words = COMMON.split()[:num_calls]
    calls = [[Request(number, f"{word} movie " * number) for number in range(num_streams)] for word in words]
    expected = [[result.probabilities for result in engine.score(call)] for call in calls]
    with ThreadPoolExecutor(4) as pool:
        found = [[result.probabilities for result in results] for results in pool.map(engine.score, calls)]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def _assert_same_state(found: StreamState, expected: StreamState, bound: float) -> None:
    np.testing.assert_allclose(found.carried, expected.carried, atol=bound, rtol=0)
    assert found.num_texts == expected.num_texts
    assert (found.open_text is None) == (expected.open_text is None)
    if found.open_text and expected.open_text:
        _assert_same_text(found.open_text, expected.open_text, bound)


def _assert_same_text(found: OpenText, expected: OpenText, bound: float) -> None:
    assert (found.pending, found.num_tokens) == (expected.pending, expected.num_tokens)
    np.testing.assert_allclose(found.words, expected.words, atol=bound, rtol=0)
    np.testing.assert_allclose(found.total, expected.total, atol=bound * max(found.num_tokens, 1), rtol=0)
