"""Text to tokens: what is kept of a text, and that no split of it changes anything."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import tokenizer
from model.tokenizer import MAX_CHUNK_CHARS, SPECIAL_TOKENS, Tokenizer, build_vocabulary, cut, cut_piece
from tests.unit.model.conftest import TEXTS, WORDS

ANY_TEXT = TEXTS | st.text(st.characters(), max_size=40)


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
def test_what_a_text_keeps_pending_is_bounded_and_still_loses_nothing(text: str, data: st.DataObject) -> None:
    split = data.draw(st.integers(0, len(text)))
    begin, pending = cut_piece("", text[:split], final=False)
    end, _ = cut_piece(pending, text[split:], final=True)
    assert len(pending) <= MAX_CHUNK_CHARS
    assert begin + end == cut(text)


@given(ANY_TEXT)
def test_the_fast_way_to_cut_gives_the_same_chunks(text: str) -> None:
    assert cut(text) == tokenizer._CHUNK.findall(text)


@given(ANY_TEXT)
def test_chunks_hold_every_character_but_whitespace(text: str) -> None:
    assert "".join(cut(text)) == re.sub(r"\s", "", text)


@given(ANY_TEXT)
def test_tokens_are_words_without_space(text: str) -> None:
    assert all(token and token.split() == [token] for token in Tokenizer.split(text))


@given(ANY_TEXT)
def test_ids_are_rows_of_the_embedding(text: str) -> None:
    words = Tokenizer(WORDS, num_buckets=7)
    ids = words.encode(text)
    assert all(0 <= row < len(WORDS) + 7 for row in ids)
    assert len(ids) == len(Tokenizer.split(text))
    assert words.has_tokens(text) == bool(ids)


def test_a_known_word_is_its_line_and_an_unknown_one_always_the_same_bucket() -> None:
    words = Tokenizer(WORDS, num_buckets=1000)
    assert words.encode("good movie") == [WORDS.index("good"), WORDS.index("movie")]
    assert words.encode("zebra") == [len(WORDS) + 158], "the hash may never change: checkpoints hold its rows"


def test_a_full_cache_starts_over_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    words = Tokenizer(WORDS, num_buckets=1000)
    texts = [f"good zebra{number} bad" for number in range(50)]
    before = [words.encode(text) for text in texts]
    monkeypatch.setattr(tokenizer, "_MAX_CACHED_CHUNKS", 3)
    words = Tokenizer(WORDS, num_buckets=1000)
    assert [words.encode(text) for text in texts] == before
    assert len(words._cache) <= 3


def test_the_vocabulary_is_the_special_tokens_then_the_most_frequent_words() -> None:
    counts = Counter({"b": 3, "a": 3, "c": 9, "d": 1, "<url>": 50, "bro\nken": 99})
    assert build_vocabulary(counts, len(SPECIAL_TOKENS) + 3) == [*SPECIAL_TOKENS, "c", "a", "b"]
