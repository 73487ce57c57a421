"""The words that a result names matter: deleting them costs more confidence than deleting random ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given

from model import DataError, InferenceEngine, Request, make_phrases
from model.evaluation.explain import measure_texts, named_chunks
from model.text.chunks import BY_CHARACTER
from tests.unit.model.conftest import TEXTS


@pytest.fixture
def packaged(packaged_engine: Callable[[str], InferenceEngine]) -> InferenceEngine:
    return packaged_engine("small")


@pytest.mark.parametrize(("name", "least_ratio"), [("en", 1.5), ("default", 1.3)])
def test_confidence_falls_further_without_the_named_words_than_without_random_ones(
    name: str, least_ratio: float, packaged_engine: Callable[[str], InferenceEngine]
) -> None:
    engine = packaged_engine(name)
    row = measure_texts(engine, "phrases", [phrase.text for phrase in make_phrases(0, 300)])
    assert row.num_texts + row.num_too_short == 300
    assert row.named_fall - row.random_fall > 3 * row.difference_error
    assert row.named_fall > least_ratio * row.random_fall
    assert row.share_named_more > least_ratio * row.share_random_more
    assert row.share_named_more + row.share_random_more <= 1


def test_a_seed_fixes_the_random_words(packaged: InferenceEngine) -> None:
    texts = [phrase.text for phrase in make_phrases(1, 40)]
    first, again, other = (measure_texts(packaged, "phrases", texts, seed) for seed in (1, 1, 2))
    assert first == again
    assert (first.named_fall, first.confidence) == (other.named_fall, other.confidence)
    assert first.random_fall != other.random_fall


def test_texts_without_a_word_besides_the_named_ones_are_left_out(packaged: InferenceEngine) -> None:
    row = measure_texts(packaged, "few", ["good", "", "what a great and friendly crew"])
    assert (row.num_texts, row.num_too_short) == (1, 2)
    with pytest.raises(DataError, match="few: no text has a word besides those"):
        measure_texts(packaged, "few", ["good", ""])


@given(TEXTS)
def test_the_named_words_are_found_in_the_chunks_that_contain_them(engine: InferenceEngine, text: str) -> None:
    [result] = engine.score([Request("a", text)])
    chunks = BY_CHARACTER.cut(text)
    named = named_chunks(text, chunks, result.words)
    assert len(named) == len(result.words)
    assert all(any(word.word in chunks[number] for number in named) for word in result.words)
