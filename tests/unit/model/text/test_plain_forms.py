"""Version 2 of the normalising: what the vocabulary lacks is read as something that it has, in pieces too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.text.emoji import NAMES_FILE, emoji_words
from model.text.normalise import SPECIAL_TOKENS
from model.text.plain_forms import MAX_WORD_CHARS, PlainForms
from model.text.tokenizer import Tokenizer
from tests.unit.model.conftest import TEXTS

KNOWN = (
    "the a i so it is not to in you great bad love good slow worst happy sad service airline never again now playing "
    "angry haha thanks \U0001f602 :) :( <3 ! , . n't do know at all past pasta mondays hate ever soo women men"
)
WORDS = (*SPECIAL_TOKENS, *KNOWN.split())
RANKS = {word: rank for rank, word in enumerate(WORDS)}
TONES = ("\U0001f3fb", "\U0001f3fd", "\U0001f3ff")
EMOJI = [line.split("\t")[0] for line in NAMES_FILE.read_text(encoding="utf-8").splitlines()]
WRITTEN = (
    "zebra, (happyy) "
    "#worstairline #NeverAgain #nowplaying #aaaa soooo loooove happyyyyy gr8! idk D: =( T_T &lt;3 &amp;amp; <br /> <a "
    'href="x">hi</a> jajaja \u314b\u314b\u314b \U0001f602\U0001f602\U0001f602 \U0001f44d\U0001f3fd # \u2764\ufe0f '
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 1\ufe0f\u20e3 \U0001f1f3\U0001f1f4 \U0001f1f3 \u200d \ufe0f \u65e5"
)
FRAGMENTS = WRITTEN.split(" ")
ANY_TEXT = TEXTS | st.text(st.characters(), max_size=40) | st.lists(st.sampled_from([*FRAGMENTS, " "])).map("".join)


def tokens(text: str) -> list[str]:
    return [token for chunk in text.split() for token in PlainForms(RANKS).split_chunk(chunk)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\U0001f92c", "angry"),
        ("\U0001f92c\U0001f92c\U0001f92c", "angry <long>"),
        ("\U0001f602\U0001f602", "\U0001f602 \U0001f602"),  # in the vocabulary
        ("good\U0001f44d\U0001f3ff!", "good thumbs up !"),
        ("\U0001f1f3\U0001f1f4 1\ufe0f\u20e3", "norway flag keycap 1"),
        ("\U0001f469\U0001f3fd\u200d\U0001f680", "woman astronaut"),
        ("soooo looooove goooood slowwww everrrrr", "soo <long> love <long> good <long> slow <long> ever <long>"),
        ("LOOOOVE it", "love <long> <allcaps> it"),
        ("happyy", "happy"),
        ("xyzzy zzzzzq", "xyzzy zzq <long>"),
        ("#worstairline #WORSTAIRLINE", "<tag> worst airline <tag> worst airline <allcaps>"),
        ("#NeverAgain #hatemondays", "<tag> never again <tag> hate mondays"),
        ("#pasta #xyzzy #good", "<tag> pasta <tag> xyzzy <tag> good"),
        ("#2good", "<tag> 2 good"),
        ("=( =) D: :-( {=", ":( :) :( :( { ="),
        ("gr8! (thx)", "great ! ( thanks )"),
        ("idk at all", "i do n't know at all"),
        ("jajaja hehehe \u314b\u314b\u314b \u0445\u0430\u0445\u0430", "haha haha haha <long> haha"),
        ('see <a href="http://x.y/">this</a>', "see this"),
        ("a &lt;3 &amp;amp; b", "a <3 & b"),
    ],
)
def test_what_is_unknown_is_read_as_something_known(text: str, expected: str) -> None:
    assert tokens(text) == expected.split()


@pytest.mark.parametrize("tone", ["", *TONES])
def test_every_emoji_of_unicode_has_words_whatever_its_skin_tone(tone: str) -> None:
    forms = PlainForms(RANKS)
    for emoji in EMOJI:
        written = emoji[0] + tone * (emoji[0] > "\U0001f385") + emoji[1:]
        found = forms.split_chunk(written)
        assert found == list(emoji_words(emoji)) or found == [emoji], written
        assert all(word.isascii() or word == emoji or word.isalpha() for word in found), written


def test_a_sequence_of_a_later_unicode_has_the_words_of_its_parts() -> None:
    assert emoji_words("\U0001f469\u200d\U0001f9c7") == ("woman", "waffle")
    assert emoji_words("\U0001fae9\u200d\U0001f469")[-1] == "woman"


@given(st.sampled_from(["love", "good", "slow", "happy", "sad", "great"]), st.data())
def test_a_word_with_a_letter_repeated_any_number_of_times_is_known(word: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(word) - 1))
    count = data.draw(st.integers(3, 60))
    written = word[:place] + word[place] * count + word[place + 1 :]
    [found, *marks] = tokens(written)
    assert found in RANKS
    assert marks == ["<long>"]


def encoded_in_pieces(tokenizer: Tokenizer, pieces: Sequence[str]) -> Iterator[int]:
    pending = ""
    for number, piece in enumerate(pieces):
        chunks, pending = tokenizer.cut_piece(pending, piece, final=number == len(pieces) - 1)
        for chunk in chunks:
            yield from tokenizer.encode(chunk)


@settings(max_examples=400)
@given(ANY_TEXT, st.lists(st.integers(0, 60), max_size=6))
def test_any_split_of_a_text_gives_the_ids_of_the_whole(text: str, splits: list[int]) -> None:
    tokenizer = Tokenizer(WORDS, 50, normalisation=2)
    places = sorted({min(split, len(text)) for split in splits})
    pieces = [text[begin:end] for begin, end in zip([0, *places], [*places, len(text)], strict=True)]
    assert list(encoded_in_pieces(tokenizer, pieces)) == tokenizer.encode(text)


@settings(max_examples=400)
@given(ANY_TEXT)
def test_the_compiled_loops_give_the_ids_of_the_plain_forms(text: str) -> None:
    tokenizer = Tokenizer(WORDS, 50, normalisation=2)
    chunks, _ = tokenizer.cut_piece("", text, final=True)
    expected = [row for chunk in chunks for row in tokenizer.chunk_ids(chunk)]
    assert tokenizer.encode(text) == expected
    assert tokenizer.encode(text) == expected, "cached chunks have the same ids"
    assert tokenizer.has_tokens(text) == bool(expected)


def test_signs_around_an_unknown_word_are_read_once_also_from_the_cache() -> None:
    tokenizer = Tokenizer(WORDS, 50, normalisation=2)
    text = '"zebra!" (happyy), HAPPYY. zebra: zebra, good,'
    expected = [row for chunk in text.split() for row in tokenizer.chunk_ids(chunk)]
    for _ in range(3):
        assert tokenizer.encode(text) == expected


@given(ANY_TEXT)
def test_no_token_contains_whitespace(text: str) -> None:
    assert all(token and token.split() == [token] for token in tokens(text))


class CountingDict(dict[str, float]):
    """Counts how often it is asked for a word."""

    num_asked = 0

    def __contains__(self, word: object) -> bool:
        self.num_asked += 1
        return super().__contains__(word)


@pytest.mark.parametrize("letters", ["a", "ab", "so", "iloveit", "\U0001f602"])
def test_the_work_for_a_hostile_text_is_linear_in_its_length(letters: str) -> None:
    tokenizer = Tokenizer(WORDS, 50, normalisation=2)
    forms = PlainForms(RANKS)
    forms._costs = costs = CountingDict(forms._costs)
    tokenizer._split_chunk = forms.split_chunk
    text = "#" + letters * (100_000 // len(letters))
    assert tokenizer.encode(text)
    assert costs.num_asked <= (MAX_WORD_CHARS + 1) * len(text)


@given(TEXTS)
def test_the_first_normalisation_reads_as_it_always_did(text: str) -> None:
    assert Tokenizer(WORDS, 50).encode(text) == Tokenizer(WORDS, 50, normalisation=1).encode(text)
