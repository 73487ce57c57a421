"""Tests of the tokenizer: which tokens a text has, and that no split of the text changes them."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.text import chunk_tables, tokenizer
from model.text.chunks import BY_CHARACTER, MAX_CHUNK_CHARS
from model.text.tokenizer import SPECIAL_TOKENS, Tokenizer, build_vocabulary
from tests.unit.model.conftest import FRAGMENTS, TEXTS, WORDS
from tests.unit.model.text.plain_tokenizer import chunks_of, tokens_of

cut, cut_piece = BY_CHARACTER.cut, BY_CHARACTER.cut_piece

TRICKY = (
    "x X xD XDDD o D : ; = - ' '' \" ( (( [ ) . .. , ! ? http https http: https:// www www. pic.twitter.com/a me@b.co "
    "@ # #_ #1 7 10 /10 3.5/5 1st 2nd 50% 1,000.5 < > <3 <333 </3 <br </ /> ^_^ -__- dont wont can't 's n't aaa AAA "
    "HaHaHa ahah _ & &amp; &amp;lt; &nbsp; &#10; \u0301 e\u0301 \u00c9T\u00c9 \u00df \u0130 \u00b2 \u2460 \u0663 "
    "\ufb01 \u2026 \u201c \u2014 \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f44d\U0001f3fd \U0001f1eb "
    "\u2764\ufe0f \U0001f602 \u3030 \u30ab"
)
ANY_TEXT = TEXTS | st.text(st.characters(), max_size=40)
GLUED = st.lists(st.sampled_from([*FRAGMENTS, *TRICKY.split(" ")]), max_size=8).map("".join)
GARBAGE = st.lists(st.tuples(st.sampled_from([*FRAGMENTS, *TRICKY.split(" ")]), st.integers(1, 600)), max_size=3).map(
    lambda parts: "".join(part * times for part, times in parts)
)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("see http://t.co/x?y=1 www.a.org me@b.com", "see <url> <url> <url>"),
        ("@bob hi", "<user> hi"),
        ("#LoveThisSong #fail #NBA2016", "<tag> love this song <tag> fail <tag> nba <allcaps> <number>"),
        ("it cost 1,000 in 1999, 50% more", "it cost <number> in <number> , <number> more"),
        ("5 stars: 7/10", "5 stars : 7/10"),
        ("soooo goooood", "soo <long> good <long>"),
        ("I LOVE IT", "i love <allcaps> it"),
        ("didn't dont cannot can\u2019t", "did n't do n't can not ca n't"),
        ("he's they've", "he 's they 've"),
        (":-) :))) :'( xD <3 ^_^", ":) :) <long> :'( xd <3 ^_^"),
        ("wow!!! what??? no!? well...", "wow !! what ?? no !? well ..."),
        ("AT&amp;T &lt;3 &amp;quot;", 'at & t <3 "'),
        ("end.<br /><br />Next", "end . next"),
        ("\U0001f602\U0001f602\U0001f602 \U0001f44d\U0001f3fd \u2764\ufe0f", "\U0001f602 <long> \U0001f44d \u2764"),
        ("\U0001f1eb\U0001f1f7\U0001f1e9\U0001f1ea", "\U0001f1eb\U0001f1f7 \U0001f1e9\U0001f1ea"),
        ("\u65e5\u672c\u8a9e", "\u65e5 \u672c \u8a9e"),
        ("\uff27\uff4f\uff4f\uff44 caf\u00e9", "good caf\u00e9"),
        ("hahahaha ahahah", "haha haha"),
        ("", ""),
        (" \n\t ", ""),
        ("\u200b \x00", ""),
    ],
)
def test_a_text_becomes_these_tokens(text: str, tokens: str) -> None:
    assert Tokenizer.split(text) == tokens.split()


@settings(max_examples=500)
@given(GLUED | ANY_TEXT)
def test_tokens_are_those_of_the_plain_tokenizer(text: str) -> None:
    assert Tokenizer.split(text) == tokens_of(text)


@given(GARBAGE)
def test_long_garbage_has_the_chunks_and_tokens_of_the_plain_tokenizer(text: str) -> None:
    assert cut(text) == list(chunks_of(text))
    assert Tokenizer.split(text) == tokens_of(text)


@settings(max_examples=500)
@given(GLUED | ANY_TEXT)
def test_the_fast_paths_give_the_ids_of_the_plain_tokenizer(text: str) -> None:
    words = Tokenizer(WORDS, num_buckets=1000)
    expected = [words.word_id(word) for word in tokens_of(text)]
    assert words.encode(text) == expected
    assert words.encode(text) == expected, "cached chunks have the same ids"


@given(ANY_TEXT, st.lists(st.integers(0, 60), max_size=6))
def test_any_split_of_a_text_gives_the_chunks_of_the_whole(text: str, splits: list[int]) -> None:
    places = sorted({min(split, len(text)) for split in splits})
    pieces = [text[begin:end] for begin, end in zip([0, *places], [*places, len(text)], strict=True)]
    chunks, pending = [], ""
    for number, piece in enumerate(pieces):
        complete, pending = cut_piece(pending, piece, final=number == len(pieces) - 1)
        chunks += complete
    assert chunks == cut(text)
    assert pending == ""


@given(st.text(st.sampled_from("ab\u65e5 "), min_size=MAX_CHUNK_CHARS, max_size=3 * MAX_CHUNK_CHARS), st.data())
def test_the_pending_text_is_bounded_and_nothing_is_lost(text: str, data: st.DataObject) -> None:
    split = data.draw(st.integers(0, len(text)))
    begin, pending = cut_piece("", text[:split], final=False)
    end, _ = cut_piece(pending, text[split:], final=True)
    assert len(pending) <= MAX_CHUNK_CHARS
    assert begin + end == cut(text)


@given(ANY_TEXT)
def test_the_fast_path_of_cut_gives_the_same_chunks(text: str) -> None:
    assert cut(text) == list(BY_CHARACTER.cut_by_pattern(text)) == list(chunks_of(text))


@given(ANY_TEXT)
def test_chunks_hold_every_character_except_whitespace(text: str) -> None:
    assert "".join(cut(text)) == re.sub(r"\s", "", text)


@given(ANY_TEXT)
def test_no_token_contains_whitespace(text: str) -> None:
    assert all(token and token.split() == [token] for token in Tokenizer.split(text))


@given(ANY_TEXT)
def test_ids_are_rows_of_the_embedding(text: str) -> None:
    words = Tokenizer(WORDS, num_buckets=7)
    ids = words.encode(text)
    assert all(0 <= row < len(WORDS) + 7 for row in ids)
    assert len(ids) == len(Tokenizer.split(text))
    assert words.has_tokens(text) == bool(ids)


def test_a_known_word_has_its_line_number_as_id_and_an_unknown_one_always_the_same_bucket() -> None:
    words = Tokenizer(WORDS, num_buckets=1000)
    assert words.encode("good movie") == [WORDS.index("good"), WORDS.index("movie")]
    assert words.encode("zebra") == [len(WORDS) + 158], "the hash must never change: checkpoints depend on it"


def test_a_full_cache_drops_chunks_and_changes_no_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    words = Tokenizer(WORDS, num_buckets=1000)
    texts = [f"good zebra{number} bad," for number in range(50)]
    before = [words.encode(text) for text in texts]
    monkeypatch.setattr(chunk_tables, "_MAX_CACHED_CHUNKS", 3)
    words = Tokenizer(WORDS, num_buckets=1000)
    for text, expected in zip(texts, before, strict=True):
        assert words.encode(text) == expected
        assert words._known.size[0] <= 3


def test_a_full_cache_keeps_chunks_that_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    def split_chunk(chunk: str) -> list[str]:
        written.append(chunk)
        return [chunk]

    monkeypatch.setattr(chunk_tables, "_MAX_CACHED_CHUNKS", 8)
    monkeypatch.setattr(tokenizer, "split_chunk", split_chunk)
    words = Tokenizer(WORDS, num_buckets=1000)
    for number in range(100):
        words.encode(f"good it's zebra{number}")
    assert written[0] == "it's"
    assert written[1:] == [f"zebra{number}" for number in range(100)], "and an ordinary word needs no cache"


def test_urls_and_long_chunks_take_no_room_in_the_cache() -> None:
    words = Tokenizer(WORDS, num_buckets=1000)
    for number in range(100):
        words.encode(f"http://t.co/{number} {'x' * 100}{number}")
    assert words._known.size[0] == 0


@given(st.lists(GLUED | ANY_TEXT, max_size=6))
def test_several_texts_have_the_chunks_and_ids_of_each_alone(texts: list[str]) -> None:
    words = Tokenizer(WORDS, num_buckets=1000)
    for _ in range(2):  # the second time every chunk is known
        encoded = words.encode_texts(texts)
        number, at = 0, 0
        for text, num_chunks in zip(texts, encoded.num_chunks, strict=True):
            spans = zip(encoded.chunk_starts, encoded.chunk_ends, encoded.chunk_tokens, strict=True)
            mine = list(spans)[number : number + num_chunks]
            assert [text[start:end] for start, end, _ in mine] == cut(text)
            for start, end, num_tokens in mine:
                expected = [words.word_id(word) for word in tokens_of(text[start:end])]
                assert encoded.ids[at : at + num_tokens].tolist() == expected
                at += num_tokens
            number += num_chunks
        assert (number, at) == (len(encoded.chunk_tokens), len(encoded.ids))


@given(st.lists(st.sampled_from([*"ahHxXDotcn'\"(!.,?):@_#1=", "nt", "http", "cannot", "ha", "\u65e5"]), max_size=7))
def test_ordinary_words_with_any_signs_around_them_have_the_ids_of_the_plain_tokenizer(signs: list[str]) -> None:
    words = Tokenizer(["good", "hat", "to", "not", *SPECIAL_TOKENS], num_buckets=1000)
    text = "".join(signs)
    for _ in range(2):
        assert words.encode(text) == [words.word_id(word) for word in tokens_of(text)]


def test_characters_that_become_many_tokens_have_all_of_their_ids() -> None:
    words = Tokenizer(WORDS, num_buckets=1000)
    text = "\ufdfa " * 40
    for _ in range(2):
        assert words.encode(text) == [words.word_id(word) for word in tokens_of(text)]
    assert len(words.encode(text)) > len(text)


def test_every_character_counts_as_a_space_where_python_says_so() -> None:
    spaces = [chr(code) for code in range(0x110000) if chr(code).isspace()]
    words = Tokenizer(WORDS, num_buckets=1000)
    assert len(words.encode_texts([f"a{space}a" for space in spaces]).chunk_tokens) == 2 * len(spaces)
    others = "".join(chr(code) for code in range(0x3040) if not chr(code).isspace())
    assert len(words.encode_texts([others]).chunk_tokens) == len(cut(others))


def test_the_vocabulary_is_the_special_tokens_then_the_most_frequent_words() -> None:
    counts = Counter({"b": 3, "a": 3, "c": 9, "d": 1, "<url>": 50, "bro\nken": 99})
    assert build_vocabulary(counts, len(SPECIAL_TOKENS) + 3) == [*SPECIAL_TOKENS, "c", "a", "b"]
