"""Tests of the engine: its calls, and the words and counts of a result. The tests of its numbers are in laws/."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import InferenceEngine, ReferenceNetwork, Request, Result, StreamState
from model.inference import engine as engine_module
from model.inference.calibration import Calibration
from model.inference.kernels import recurrence
from model.inference.kernels.recurrence import CPU_PRECISIONS, CpuPrecision
from model.text.chunks import BY_CHARACTER
from tests.unit.model.conftest import TEXTS

BOUND = 1e-5


@given(st.lists(TEXTS, min_size=1, max_size=20))
def test_a_text_has_the_same_result_in_a_batch_and_alone(engine: InferenceEngine, texts: list[str]) -> None:
    together = engine.score([Request(number, text) for number, text in enumerate(texts)])
    for text, result in zip(texts, together, strict=True):
        [alone] = engine.score([Request("alone", text)])
        np.testing.assert_allclose(result.probabilities, alone.probabilities, atol=BOUND, rtol=0)
        assert result.label == alone.label
        assert [word.word for word in result.words] == [word.word for word in alone.words] or _is_close_call(alone)
        assert (result.num_tokens, result.num_unknown) == (alone.num_tokens, alone.num_unknown)


def _is_close_call(result: Result) -> bool:
    """Whether two words changed the score by the same amount, so that rounding decides their order."""
    sizes = sorted(abs(word.change) for word in result.words)
    return len(sizes) == 3 or any(second - first < BOUND for first, second in pairwise(sizes))


def test_no_requests_give_no_results(engine: InferenceEngine) -> None:
    assert engine.score([]) == []


def test_a_call_larger_than_a_batch_is_split_without_changing_the_results(
    engine: InferenceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [Request(number % 3, f"good movie {number}", number % 4 != 2) for number in range(40)]
    at_once = engine.score(requests)
    for name, value in (("MAX_BATCH_REQUESTS", 7), ("MAX_BATCH_CHARS", 50)):
        with monkeypatch.context() as patch:
            patch.setattr(engine_module, name, value)
            batches = list(engine_module._split_into_batches(requests))
            assert len(batches) > 1
            assert [request for batch in batches for request in batch] == requests
            split = engine.score(requests)
        for result, expected in zip(split, at_once, strict=True):
            np.testing.assert_allclose(result.probabilities, expected.probabilities, atol=BOUND, rtol=0)
            assert result.state.num_texts == expected.state.num_texts


def test_only_the_state_of_a_streams_first_request_is_used(engine: InferenceEngine) -> None:
    [before] = engine.score([Request("s", "hate it so")])
    other = StreamState(before.state.carried + 1, 99)
    given_once = engine.score([Request("s", "good", state=before.state), Request("s", "movie")])
    given_twice = engine.score([Request("s", "good", state=before.state), Request("s", "movie", state=other)])
    assert given_once[1].probabilities == given_twice[1].probabilities
    assert given_once[1].state.num_texts == 3


def test_the_state_affects_the_next_text_unless_carry_is_off(engine: InferenceEngine, checkpoint: Path) -> None:
    without = InferenceEngine.load(checkpoint, carry=False)
    requests = [Request("s", "good movie"), Request("s", "good movie")]
    first, second = engine.score(requests)
    assert abs(first.score - second.score) > 0.01
    first_alone, second_alone = without.score(requests)
    assert first_alone.probabilities == first.probabilities
    assert second_alone.probabilities == pytest.approx(first.probabilities, abs=BOUND)
    np.testing.assert_array_equal(second_alone.state.carried, second.state.carried)


def test_a_given_state_is_not_changed_and_a_returned_state_keeps_no_batch_in_memory(engine: InferenceEngine) -> None:
    [result] = engine.score([Request("s", "so good mov", final=False)])
    before = result.state.to_bytes(engine.fingerprint)
    engine.score([Request("s", "ie not bad", state=result.state), Request("s", "late", final=False)])
    assert result.state.to_bytes(engine.fingerprint) == before
    opened = result.state.open_text
    assert opened is not None
    assert opened.pending == "mov"
    assert [array.base for array in (result.state.carried, opened.words, opened.total)] == [None, None, None]


@given(TEXTS)
def test_words_are_those_that_change_the_running_score_of_the_oracle_most(
    engine: InferenceEngine, reference: ReferenceNetwork, text: str
) -> None:
    [result] = engine.score([Request("s", text)])
    prefixes = reference.read([("", False)]) + reference.read(
        [(chunk + " ", False) for chunk in BY_CHARACTER.cut(text)]
    )
    num_tokens = np.array([read.state.open_text.num_tokens if read.state.open_text else 0 for read in prefixes])
    # The oracle scales a prefix by the temperature of its own length, the engine by that of the whole text.
    calibration = Calibration(reference.tensors["calibration.log_temperature"], {})
    warmth = calibration.temperatures(num_tokens, ["en"] * len(num_tokens))
    shares = np.array([read.probabilities for read in prefixes]) ** (warmth / warmth[-1])[:, None]
    scores = ((shares[:, 2] - shares[:, 0]) / shares.sum(axis=1)).tolist()
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


def test_a_word_that_began_in_an_earlier_piece_is_shown_from_where_this_piece_begins(engine: InferenceEngine) -> None:
    first, second, third = engine.score(
        [Request("s", "mov", final=False), Request("s", "ie  good", final=False), Request("s", " ")]
    )
    assert first.words == []
    assert [(word.word, word.start, word.end) for word in second.words] == [("ie", 0, 2)]
    assert third.words == [], "no character of the word that ends here is in this piece"
    assert (first.num_tokens, second.num_tokens, third.num_tokens) == (0, 1, 1)


def test_tokens_and_unknown_tokens_are_counted_per_request(engine: InferenceEngine) -> None:
    results = engine.score([Request("a", "good zebra zebra"), Request("b", ""), Request("a", "good")])
    assert [(result.num_tokens, result.num_unknown) for result in results] == [(3, 2), (0, 0), (1, 0)]


def test_a_text_of_only_spaces_and_markup_has_no_words(engine: InferenceEngine) -> None:
    assert engine.has_words("good")
    assert engine.has_words(":-)")
    assert not engine.has_words(" \n\u200b<br />")


@pytest.mark.parametrize("precision", CPU_PRECISIONS)
def test_a_whole_text_gives_the_same_bits_alone_and_in_any_batch(checkpoint: Path, precision: CpuPrecision) -> None:
    engine = InferenceEngine.load(checkpoint, precision=precision)
    random = np.random.default_rng(0)
    words = ["good", "bad", "so", "late", "movie", "not"]
    texts = [" ".join(random.choice(words, size)) for size in random.integers(1, 40, 150)]
    together = engine.score([Request(place, text) for place, text in enumerate(texts)])
    for text, among in zip(texts, together, strict=True):
        [alone] = engine.score([Request("s", text)])
        assert (alone.probabilities, alone.words) == (among.probabilities, among.words)
        np.testing.assert_array_equal(alone.state.carried, among.state.carried)


def test_a_large_vocabulary_takes_half_the_memory_and_changes_no_result_visibly(
    checkpoint: Path, engine: InferenceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recurrence, "MAX_FLOAT_ROWS", 10)
    large = InferenceEngine.load(checkpoint)
    table = large._network._recurrence.table  # type: ignore[union-attr]
    assert (table.dtype, table.shape[0]) == (np.int16, large.config.num_rows)
    texts = ["good movie", "not good at all , so late", "I hate the flight !"]
    for text in texts:
        [result], [expected] = (each.score([Request("s", text)]) for each in (large, engine))
        np.testing.assert_allclose(result.probabilities, expected.probabilities, atol=2e-4, rtol=0)
        assert result.probabilities != expected.probabilities, "the integers are used"
        assert result.label == expected.label
