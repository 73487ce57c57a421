"""The engine against the oracle: however texts are mixed, split, batched and stored, the numbers are those of one pass.

Bound: float32 sums in another order and a tanh exact to 5e-7 leave probabilities and scores within 1e-5 of the oracle's
double precision, over texts of ten thousand tokens and more.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import InferenceEngine, OpenText, ReferenceNetwork, Request, Result, StreamState
from model import engine as engine_module
from model.config import LABELS
from model.reference import ReferenceResult
from model.tokenizer import cut
from tests.unit.model.conftest import COMMON, TEXTS

BOUND = 1e-5
Piece = tuple[int, str, bool]  # stream, text, final


def _assert_as_reference(result: Result, expected: ReferenceResult) -> None:
    np.testing.assert_allclose(result.probabilities, expected.probabilities, atol=BOUND, rtol=0)
    assert result.score == pytest.approx(expected.score, abs=BOUND)
    assert result.confidence == max(result.probabilities)
    # the same label, but where the oracle itself cannot tell two classes apart
    assert expected.probabilities[LABELS.index(result.label)] >= max(expected.probabilities) - 2 * BOUND
    _assert_same_state(result.state, expected.state)


def _assert_same_state(state: StreamState, expected: StreamState) -> None:
    np.testing.assert_allclose(state.carried, expected.carried, atol=BOUND, rtol=0)
    assert state.num_texts == expected.num_texts
    opened, expected_open = state.open_text, expected.open_text
    assert (opened is None) == (expected_open is None)
    if opened and expected_open:
        assert (opened.pending, opened.num_tokens) == (expected_open.pending, expected_open.num_tokens)
        np.testing.assert_allclose(opened.words, expected_open.words, atol=BOUND, rtol=0)
        np.testing.assert_allclose(opened.total, expected_open.total, atol=BOUND * max(opened.num_tokens, 1), rtol=0)


def _read_in_calls(
    engine: InferenceEngine, requests: Sequence[Piece], call_sizes: Sequence[int]
) -> list[tuple[int, Result]]:
    """Score in calls of these sizes, then one at a time; between calls the states go through bytes."""
    stored: dict[int, bytes] = {}
    results: list[tuple[int, Result]] = []
    sizes = iter(call_sizes)
    while len(results) < len(requests):
        begin = len(results)
        call = requests[begin : begin + next(sizes, 1)]
        states = {
            stream: StreamState.from_bytes(data, engine.config, engine.fingerprint) for stream, data in stored.items()
        }
        scored = engine.score([Request(stream, text, final, states.get(stream)) for stream, text, final in call])
        assert len(scored) == len(call)
        for (stream, _, _), result in zip(call, scored, strict=True):
            stored[stream] = result.state.to_bytes(engine.fingerprint)
            results.append((stream, result))
    return results


@st.composite
def _streams_in_pieces(draw: st.DrawFn) -> list[Piece]:
    """Texts of a few streams, each cut into pieces anywhere, the streams interleaved."""
    pieces: dict[int, list[Piece]] = {}
    for stream, text in draw(st.lists(st.tuples(st.integers(0, 3), TEXTS), min_size=1, max_size=10)):
        cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
        for begin, end in pairwise([0, *cuts, len(text)]):
            pieces.setdefault(stream, []).append((stream, text[begin:end], end == len(text)))
        # a text may be cut at its very end: only the last of its pieces ends it
        same_text = pieces[stream][-len(cuts) - 1 :]
        pieces[stream][-len(cuts) - 1 :] = [(s, t, n == len(cuts)) for n, (s, t, _) in enumerate(same_text)]
    order = draw(st.permutations([stream for stream, parts in pieces.items() for _ in parts]))
    return [pieces[stream].pop(0) for stream in order]


@settings(max_examples=300)
@given(_streams_in_pieces(), st.lists(st.integers(1, 8), max_size=6))
def test_pieces_batches_interleaving_and_storing_change_nothing(
    engine: InferenceEngine, reference: ReferenceNetwork, requests: list[Piece], call_sizes: list[int]
) -> None:
    results = _read_in_calls(engine, requests, call_sizes)
    for stream in {stream for stream, _, _ in requests}:
        mine = [(text, final) for other, text, final in requests if other == stream]
        found = [result for other, result in results if other == stream]
        for result, expected in zip(found, reference.read(mine), strict=True):
            _assert_as_reference(result, expected)
        # a text's last piece says what the whole text says
        ends = [number for number, (_, final) in enumerate(mine) if final]
        whole = ["".join(text for text, _ in mine[begin + 1 : end + 1]) for begin, end in pairwise([-1, *ends])]
        for end, expected in zip(ends, reference.read([(text, True) for text in whole]), strict=True):
            _assert_as_reference(found[end], expected)


@given(st.lists(TEXTS, min_size=1, max_size=20))
def test_a_text_in_a_batch_reads_as_it_does_alone(engine: InferenceEngine, texts: list[str]) -> None:
    together = engine.score([Request(number, text) for number, text in enumerate(texts)])
    for text, result in zip(texts, together, strict=True):
        [alone] = engine.score([Request("alone", text)])
        np.testing.assert_allclose(result.probabilities, alone.probabilities, atol=BOUND, rtol=0)
        assert result.label == alone.label
        assert [word.word for word in result.words] == [word.word for word in alone.words] or _is_close_call(alone)
        assert (result.num_tokens, result.num_unknown) == (alone.num_tokens, alone.num_unknown)


def _is_close_call(result: Result) -> bool:
    """Two words moved the score by the same amount, so that rounding decides which is named first or at all."""
    sizes = sorted(abs(word.change) for word in result.words)
    return len(sizes) == 3 or any(second - first < BOUND for first, second in pairwise(sizes))


def test_a_text_of_ten_thousand_tokens_beside_short_and_empty_ones(
    engine: InferenceEngine, reference: ReferenceNetwork
) -> None:
    rng = np.random.default_rng(0)
    long = " ".join(rng.choice(COMMON.split(), 10_000))
    texts = ["good", "", long, "so bad !"]
    results = engine.score([Request(number, text) for number, text in enumerate(texts)])
    for text, result in zip(texts, results, strict=True):
        _assert_as_reference(result, reference.read([(text, True)])[0])
    assert [result.num_tokens for result in results] == [1, 0, 10_000, 3]
    halves = engine.score([Request("s", long[:20_001], final=False), Request("s", long[20_001:])])
    _assert_as_reference(halves[1], reference.read([(long, True)])[0])


def test_a_state_that_is_far_along_still_reads_as_the_oracle(
    engine: InferenceEngine, reference: ReferenceNetwork
) -> None:
    texts = [("good movie !", True), ("hate it", True)] * 200
    results = engine.score([Request("s", text, final) for text, final in texts])
    for result, expected in zip(results, reference.read(texts), strict=True):
        _assert_as_reference(result, expected)


def test_no_requests_give_no_results(engine: InferenceEngine) -> None:
    assert engine.score([]) == []


def test_a_call_larger_than_a_batch_is_read_in_parts_to_the_same_end(
    engine: InferenceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [Request(number % 3, f"good movie {number}", number % 4 != 2) for number in range(40)]
    at_once = engine.score(requests)
    for name, value in (("_MAX_BATCH_REQUESTS", 7), ("_MAX_BATCH_CHARS", 50)):
        with monkeypatch.context() as patch:
            patch.setattr(engine_module, name, value)
            parts = list(engine_module._bounded(requests))
            assert len(parts) > 1
            assert [request for part in parts for request in part] == requests
            in_parts = engine.score(requests)
        for result, expected in zip(in_parts, at_once, strict=True):
            np.testing.assert_allclose(result.probabilities, expected.probabilities, atol=BOUND, rtol=0)
            assert result.state.num_texts == expected.state.num_texts


def test_only_the_first_request_of_a_stream_brings_its_state(engine: InferenceEngine) -> None:
    [before] = engine.score([Request("s", "hate it so")])
    other = StreamState(before.state.carried + 1, 99)
    given_once = engine.score([Request("s", "good", state=before.state), Request("s", "movie")])
    given_twice = engine.score([Request("s", "good", state=before.state), Request("s", "movie", state=other)])
    assert given_once[1].probabilities == given_twice[1].probabilities
    assert given_once[1].state.num_texts == 3


def test_the_state_bears_on_the_next_text_unless_carry_is_off(engine: InferenceEngine, checkpoint: Path) -> None:
    without = InferenceEngine.load(checkpoint, carry=False)
    requests = [Request("s", "good movie"), Request("s", "good movie")]
    first, second = engine.score(requests)
    assert abs(first.score - second.score) > 0.01
    first_alone, second_alone = without.score(requests)
    assert first_alone.probabilities == first.probabilities
    assert second_alone.probabilities == pytest.approx(first.probabilities, abs=BOUND)
    np.testing.assert_array_equal(second_alone.state.carried, second.state.carried)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_state_that_is_not_finite_is_named_and_its_stream_begins_anew(engine: InferenceEngine, bad: float) -> None:
    poisoned = StreamState(np.full((2, engine.config.stream_size), bad, np.float32), 5)
    words = np.full((3, engine.config.hidden_size), bad, np.float32)
    total = np.zeros(engine.config.hidden_size)
    opened = StreamState(np.zeros_like(poisoned.carried), 5, OpenText("not go", 3, words, total))
    [first] = engine.score([Request("s", "good")])
    for state in (poisoned, opened):
        results = engine.score([Request("s", "good", state=state), Request("s", "bad"), Request("other", "good")])
        assert [result.reset for result in results] == ["not_finite", None, None]
        assert results[0].probabilities == pytest.approx(first.probabilities, abs=BOUND)
        assert [result.state.num_texts for result in results] == [1, 2, 1]
        assert all(np.isfinite(result.state.carried).all() for result in results)


def test_a_state_given_is_not_changed_and_a_state_returned_keeps_no_batch_in_memory(engine: InferenceEngine) -> None:
    [result] = engine.score([Request("s", "so good mov", final=False)])
    before = result.state.to_bytes(engine.fingerprint)
    engine.score([Request("s", "ie not bad", state=result.state), Request("s", "late", final=False)])
    assert result.state.to_bytes(engine.fingerprint) == before
    opened = result.state.open_text
    assert opened is not None
    assert opened.pending == "mov"
    assert [array.base for array in (result.state.carried, opened.words, opened.total)] == [None, None, None]


@given(TEXTS)
def test_words_are_where_the_running_score_of_the_oracle_moved_most(
    engine: InferenceEngine, reference: ReferenceNetwork, text: str
) -> None:
    [result] = engine.score([Request("s", text)])
    scores = [reference.read([("", False)])[0].score]
    scores += [read.score for read in reference.read([(chunk + " ", False) for chunk in cut(text)])]
    moved = sorted((abs(after - before) for before, after in pairwise(scores)), reverse=True)
    changes = [abs(word.change) for word in result.words]
    np.testing.assert_allclose(changes, moved[: len(changes)], atol=2 * BOUND)
    assert len(changes) == 3 or all(size == 0 for size in moved[len(changes) :])
    for word in result.words:
        assert word.word
        assert text[word.start : word.end] == word.word
        assert not any(map(str.isspace, word.word))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('He said: "great" (not late).', {"great", "not", "late", "said", "He"}),
        (":-) !!! #LoveIt", {":-)", "!!!", "#LoveIt"}),
    ],
)
def test_words_are_shown_as_written_without_the_signs_around_them(
    engine: InferenceEngine, text: str, shown: set[str]
) -> None:
    [result] = engine.score([Request("s", text)])
    assert len(result.words) == 3
    assert {word.word for word in result.words} <= shown


def test_of_a_word_that_began_in_an_earlier_piece_the_rest_is_shown(engine: InferenceEngine) -> None:
    first, second, third = engine.score(
        [Request("s", "mov", final=False), Request("s", "ie  good", final=False), Request("s", " ")]
    )
    assert first.words == []
    assert [(word.word, word.start, word.end) for word in second.words] == [("ie", 0, 2)]
    assert third.words == [], "the word that ends here is in no part of this piece"
    assert (first.num_tokens, second.num_tokens, third.num_tokens) == (0, 1, 1)


def test_tokens_and_unknown_ones_are_counted_per_request(engine: InferenceEngine) -> None:
    results = engine.score([Request("a", "good zebra zebra"), Request("b", ""), Request("a", "good")])
    assert [(result.num_tokens, result.num_unknown) for result in results] == [(3, 2), (0, 0), (1, 0)]


def test_a_text_has_words_when_something_is_left_of_it(engine: InferenceEngine) -> None:
    assert engine.has_words("good")
    assert engine.has_words(":-)")
    assert not engine.has_words(" \n\u200b<br />")


def test_threads_that_score_at_once_do_not_disturb_each_other(engine: InferenceEngine) -> None:
    calls = [[Request(number, f"{word} movie " * number) for number in range(30)] for word in COMMON.split()[:8]]
    expected = [[result.probabilities for result in engine.score(call)] for call in calls]
    with ThreadPoolExecutor(4) as pool:
        found = [[result.probabilities for result in results] for results in pool.map(engine.score, calls)]
    np.testing.assert_allclose(found, expected, atol=1e-6)
