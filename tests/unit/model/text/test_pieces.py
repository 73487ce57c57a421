"""Tests of a vocabulary of pieces: every script has known tokens, and no split of a text changes them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.text.encoding import MAX_TABLE_CHARS
from model.text.normalise import SPECIAL_TOKENS
from model.text.plain_forms import PlainForms
from model.text.tokenizer import PIECES, Tokenizer
from tests.unit.model.text.plain_tokenizer import piece_ids_of, written_piece_ids_of

LATIN = "good movie un great ##believ ##able ##s t ##t a ##a h ##h no n't wunder ##bar \u00e9 ##\u00e9 :) \U0001f602"
CYRILLIC = "\u0444\u0438\u043b\u044c\u043c ##\u0430 ##\u044b \u043d\u0435"
CHINESE = "\u7535\u5f71 \u7535 \u5f71 \u5f88 \u597d\u770b \u597d \u5f88\u597d\u770b\u7684\u7535 \u4e0d"
JAPANESE = "\u6620\u753b \u3068\u3066\u3082 \u826f\u3044 \u30ab\u30e1\u30e9"
KOREAN = "\uc601\ud654 \uc7ac\ubbf8 \uc788\uc5b4\uc694 \uc5b4\uc694 \uc788"
THAI = "\u0e2b\u0e19\u0e31\u0e07 \u0e14\u0e35 \u0e14\u0e35\u0e21\u0e32\u0e01 \u0e21\u0e32\u0e01"
HINDI = "\u092b\u093f\u0932\u094d\u092e \u0905\u091a\u094d\u091b\u0940 \u0905 \u091a\u094d\u091b\u0940"
ARABIC = "\u0641\u064a\u0644\u0645 \u0627\u0644 \u0627\u0644\u0641\u064a\u0644\u0645 \u062c\u0645\u064a\u0644"
VOCABULARY = [*SPECIAL_TOKENS, *" ".join([LATIN, CYRILLIC, CHINESE, JAPANESE, KOREAN, THAI, HINDI, ARABIC]).split(" ")]
CHARS = sorted({char for word in VOCABULARY for char in word})
SIGNS = [
    *" \n.,!?#@'\"(:&;",
    "\u3000",
    "\u3002",
    "\uff0c",
    "\u0e33",
    "\u064b",
    "\u200d",
    "&amp;",
    "http://a.b/",
    "\ud800",
]
TEXTS = st.lists(
    st.sampled_from([*VOCABULARY, *CHARS, *SIGNS]) | st.text(st.characters(), max_size=3), max_size=24
).map("".join)


@pytest.fixture(scope="module", name="words")
def _words() -> Tokenizer:
    return Tokenizer(VOCABULARY, num_buckets=50, version=PIECES)


@pytest.fixture(scope="module", name="plain_words")
def _plain_words() -> Tokenizer:
    return Tokenizer(VOCABULARY, num_buckets=50, version=PIECES, normalisation=2)


def _written(words: Tokenizer, text: str) -> list[str]:
    return [VOCABULARY[row] if row < len(VOCABULARY) else "?" for row in words.encode(text)]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("unbelievable movies", "un ##believ ##able movie ##s"),
        ("Wunderbar!", "wunder ##bar ?"),
        ("zebra", "?"),
        ("\u0444\u0438\u043b\u044c\u043c\u044b", "\u0444\u0438\u043b\u044c\u043c ##\u044b"),
        ("\u8fd9\u7535\u5f71\u5f88\u597d\u770b", "? \u7535\u5f71 \u5f88 \u597d\u770b"),
        ("\u5f88\u597d\u770b\u7684\u7535\u5f71", "\u5f88\u597d\u770b\u7684\u7535 \u5f71"),
        ("\u6620\u753b\u3068\u3066\u3082\u826f\u3044", "\u6620\u753b \u3068\u3066\u3082 \u826f\u3044"),
        ("\uc601\ud654 \uc7ac\ubbf8\uc788\uc5b4\uc694", "\uc601\ud654 \uc7ac\ubbf8 \uc788\uc5b4\uc694"),
        (
            "\u0e2b\u0e19\u0e31\u0e07\u0e14\u0e35\u0e21\u0e32\u0e01",
            "\u0e2b\u0e19\u0e31\u0e07 \u0e14\u0e35\u0e21\u0e32\u0e01",
        ),
        (
            "\u092b\u093f\u0932\u094d\u092e \u0905\u091a\u094d\u091b\u0940",
            "\u092b\u093f\u0932\u094d\u092e \u0905\u091a\u094d\u091b\u0940",
        ),
        ("\u0627\u0644\u0641\u064a\u0644\u0645", "\u0627\u0644\u0641\u064a\u0644\u0645"),
        ("\u062c\u0645\u064a\u0644\u0627\u0644", "\u062c\u0645\u064a\u0644 \u0627\u0644"),
    ],
)
def test_a_text_becomes_the_longest_known_pieces(words: Tokenizer, text: str, tokens: str) -> None:
    assert _written(words, text) == tokens.split(" ")


@settings(max_examples=500)
@given(TEXTS)
def test_the_compiled_loops_give_the_ids_of_the_plain_tokenizer(words: Tokenizer, text: str) -> None:
    expected = piece_ids_of(text, VOCABULARY, num_buckets=50)
    assert words.encode(text) == expected
    assert words.encode(text) == expected, "cached chunks have the same ids"
    assert words.has_tokens(text) == bool(expected)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("unbelievable ZEBRA", "un ##believ ##able ? <allcaps>"),
        ("UNBELIEVABLE movies!", "un ##believ ##able <allcaps> movie ##s ?"),
        ("greaaat", "great <long>"),
        ("Greatt! GREATT", "great ? great <allcaps>"),
        ("gr8 #greatmovie", "great <tag> great movie"),
        ("\u7535\u5f71greaaat", "\u7535\u5f71 great <long>"),
    ],
)
def test_an_unknown_word_is_looked_up_in_its_plain_form_before_it_is_cut_into_pieces(
    plain_words: Tokenizer, text: str, tokens: str
) -> None:
    for _ in range(2):
        assert _written(plain_words, text) == tokens.split(" "), "the same from the cache"


@settings(max_examples=500)
@given(TEXTS)
def test_the_compiled_loops_cut_the_plain_forms_into_pieces(plain_words: Tokenizer, text: str) -> None:
    ranks = {word: rank for rank, word in enumerate(VOCABULARY)}
    expected = written_piece_ids_of(text, VOCABULARY, 50, PlainForms(ranks).split_chunk)
    assert plain_words.encode(text) == expected
    assert plain_words.encode(text) == expected, "cached chunks have the same ids"
    assert plain_words.has_tokens(text) == bool(expected)


@settings(max_examples=500)
@given(TEXTS, st.lists(st.integers(0, 80), max_size=8))
def test_any_split_of_a_text_gives_the_ids_of_the_whole(
    words: Tokenizer, plain_words: Tokenizer, text: str, splits: list[int]
) -> None:
    for tokenizer in (words, plain_words):
        _check_splits(tokenizer, text, splits)


def _check_splits(words: Tokenizer, text: str, splits: list[int]) -> None:
    places = sorted({min(split, len(text)) for split in splits})
    pieces = [text[begin:end] for begin, end in zip([0, *places], [*places, len(text)], strict=True)]
    ids, pending = [], ""
    for number, piece in enumerate(pieces):
        final = number == len(pieces) - 1
        complete, still_pending = words.cut_piece(pending, piece, final)
        whole = pending + piece
        ids += words.encode(whole[: len(whole) - len(still_pending)])
        assert words.encode(whole[: len(whole) - len(still_pending)]) == [
            row for chunk in complete for row in words.chunk_ids(chunk)
        ]
        pending = still_pending
    assert ids == words.encode(text)
    assert not pending


@given(st.text(st.sampled_from([char for char in CHARS if char > "\u0600"]), max_size=80))
def test_no_more_of_a_script_without_spaces_is_pending_than_its_longest_piece(words: Tokenizer, text: str) -> None:
    _, pending = words.cut_piece("", text, final=False)
    longest = max(len(word) for word in VOCABULARY if word[0] > "\u0600")
    if re.fullmatch("[^\u3000-\u303f\U0001f000-\U0001ffff]*", text):
        assert len(pending) <= longest


@given(TEXTS)
def test_chunks_hold_every_character_except_whitespace(words: Tokenizer, text: str) -> None:
    assert "".join(words.cut(text)) == re.sub(r"\s", "", text)
    encoded = words.encode_texts([text])
    spans = zip(encoded.chunk_starts, encoded.chunk_ends, strict=True)
    assert [text[start:end] for start, end in spans] == words.cut(text)


@given(st.integers(1, 3 * MAX_TABLE_CHARS), st.sampled_from("ta\u0e21\u597d"))
def test_words_of_any_length_have_ids(words: Tokenizer, length: int, char: str) -> None:
    text = (char + ("h" if char in "ta" else "")) * length
    assert words.encode(text) == piece_ids_of(text, VOCABULARY, num_buckets=50)


def test_a_word_of_known_pieces_needs_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    words = Tokenizer(VOCABULARY, num_buckets=50, version=PIECES)
    monkeypatch.setattr(words, "_split_chunk", lambda chunk: pytest.fail(f"{chunk} is left to the slow path"))
    assert len(words.encode("unbelievable movies \u7535\u5f71 zebra")) == 7
