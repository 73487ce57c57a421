# ruff: noqa: RUF001 - Chinese punctuation is meant
"""Tests of the detokenizer: tokens become the text that they came from."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.text.detokenize import detokenize
from model.text.tokenizer import Tokenizer

CHINESE = "今天气很好我们去公园"
PARTS = [
    *CHINESE,
    "，",
    "。",
    "！",
    "？",
    "（好）",
    "“你好”",
    "good",
    "n't",
    "it's",
    ",",
    "!!",
    "...",
    "(so)",
    ":)",
    "7/10",
]


@pytest.mark.parametrize(
    "text",
    [
        "i don't like it, it's bad!! (really) 7/10 :)",
        "he said “hello”, and left. “no!”",
        "今天天气很好，我们去公园。",
        "他问：“你好吗？”（真的！！）",
        "“你好”，他说。",
        "我用 phone 手机。",
        "「猫」が好き。",
        "",
    ],
)
def test_the_tokens_of_a_text_are_joined_as_it_was_written(text: str) -> None:
    assert detokenize(Tokenizer.split(text)) == text


def test_marks_of_repeated_letters_and_capitals_are_left_out_and_a_hashtag_gets_its_sign_back() -> None:
    assert detokenize(Tokenizer.split("SOOOO good #love")) == "soo good #love"


@given(st.text(CHINESE + " ，。！？“”（）", max_size=20))
def test_there_is_no_space_between_cjk_characters(text: str) -> None:
    assert not re.search(f"[{CHINESE}] +[{CHINESE}]", detokenize(Tokenizer.split(text)))


@given(st.lists(st.sampled_from(PARTS), max_size=12).map(" ".join))
def test_a_joined_text_is_split_into_the_same_tokens_again(text: str) -> None:
    tokens = Tokenizer.split(text)
    joined = detokenize(tokens)
    assert Tokenizer.split(joined) == tokens or _touches(tokens)


@given(st.lists(st.sampled_from(PARTS), max_size=12).map(" ".join), st.integers(0, 12))
def test_the_first_words_give_a_prefix_of_the_text(text: str, num_words: int) -> None:
    tokens = Tokenizer.split(text)
    assert detokenize(tokens).startswith(detokenize(tokens[:num_words]))


def _touches(tokens: list[str]) -> bool:
    """Whether two neighbouring tokens would be one token if no space were between them."""
    signs = [re.fullmatch(r"\W+|n't|'\w+", token) is not None for token in tokens]
    return any(one and other for one, other in zip(signs, [*signs[1:], False], strict=True)) or "n't" in tokens
