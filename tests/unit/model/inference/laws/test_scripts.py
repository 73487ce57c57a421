"""A network with a vocabulary of pieces obeys the laws in every script: text in pieces is the whole text."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import InferenceEngine, ReferenceNetwork, Request, Result
from model.checkpoint import save_checkpoint
from model.text.tokenizer import PIECES
from tests.unit.model.conftest import CONFIG, random_weights
from tests.unit.model.text.test_pieces import TEXTS, VOCABULARY

BOUND = 1e-5


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scripts") / "checkpoint"
    config = replace(CONFIG, num_words=len(VOCABULARY))
    weights = random_weights(config)
    save_checkpoint(folder, name="scripts", config=config, words=VOCABULARY, weights=weights, tokenizer=PIECES)
    return folder


@pytest.fixture(scope="module", name="scripts")
def _scripts(folder: Path) -> InferenceEngine:
    return InferenceEngine.load(folder)


@pytest.fixture(scope="module", name="oracle")
def _oracle(folder: Path) -> ReferenceNetwork:
    return ReferenceNetwork.load(folder)


@given(TEXTS, st.lists(st.integers(0, 60), max_size=6))
def test_a_text_in_pieces_ends_with_the_result_of_the_whole(
    scripts: InferenceEngine, oracle: ReferenceNetwork, text: str, splits: list[int]
) -> None:
    places = [0, *sorted(min(split, len(text)) for split in splits), len(text)]
    pieces = [Request("s", text[begin:end], final=False) for begin, end in pairwise(places)]
    [whole] = scripts.score([Request("s", text)])
    *_, in_one_call = scripts.score([*pieces, Request("s", "")])
    in_calls: Result | None = None
    for piece in [*pieces, Request("s", "")]:
        [in_calls] = scripts.score([piece._replace(state=in_calls and in_calls.state)])
    assert in_calls
    for result in (in_one_call, in_calls):
        np.testing.assert_allclose(result.probabilities, whole.probabilities, atol=BOUND, rtol=0)
        np.testing.assert_allclose(result.state.carried, whole.state.carried, atol=BOUND, rtol=0)
    [expected] = oracle.read([(text, True)])
    np.testing.assert_allclose(whole.probabilities, expected.probabilities, atol=BOUND, rtol=0)


def test_the_words_of_a_result_are_pieces_of_scripts_without_spaces(scripts: InferenceEngine) -> None:
    [result] = scripts.score([Request("s", "\u7535\u5f71\u5f88\u597d\u770b")])
    assert {word.word for word in result.words} == {"\u7535\u5f71", "\u5f88", "\u597d\u770b"}
    assert result.num_unknown == 0
