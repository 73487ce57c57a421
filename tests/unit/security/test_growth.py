"""Time grows with the size of a record, not with its square: no text and no payload holds up its neighbours."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

import pytest

from model.text.tokenizer import PIECES, WORDS, Tokenizer
from tests.checkpoints import WORDS as VOCABULARY
from worker.errors import RecordError
from worker.records.codec import Codec
from worker.records.html import blank_tags
from worker.settings import load_settings

FACTOR, NUM_TRIES = 16, 2
MAX_GROWTH = 5 * FACTOR  # quadratic would be 256
SMALL_CHARS = 2_000

TEXTS = {
    "letters": "a",
    "spaces": " ",
    "entities": "&amp;",
    "open entities": "&am",
    "tags": "<a ",
    "attributes": "<a b=c ",
    "open quotes": "<a b='",
    "quotes": '<a b="\'" ',
    "hashtags": "#",
    "laughter": "ha",
    "elongated": "goood ",
    "capitals": "aA",
    "emoji": "\U0001f602\u200d",
    "skin tones": "\U0001f44d\U0001f3fd",
    "cjk": "\u7535\u5f71",
    "thai": "\u0e14\u0e35",
    "expands": "\ufdfa",
    "combining": "\u0301",
    "urls": "http://",
    "faces": ":-(",
    "dots": ".",
    "digits": "1/",
    "surrogates": "\udc80",
    "apostrophes": "n't'",
}
PAYLOADS = {
    "nested": '{"a":',
    "arrays": "[",
    "open strings": '"\\',
    "names": '"a":1,',
    "digits": "9",
    "escapes": "\\u0000",
    "spaces": " ",
    "html": '{"text":"<a b=\'',
}


@cache
def tokenizers() -> tuple[Tokenizer, ...]:
    kinds = [(WORDS, 1), (PIECES, 2)]
    return tuple(Tokenizer(VOCABULARY, 32, version, normalisation=number) for version, number in kinds)


def read_text(text: str) -> None:
    blank_tags(text)
    for tokenizer in tokenizers():
        tokenizer.encode(text)
        for chunk in tokenizer.cut(text):
            tokenizer.chunk_ids(chunk)


CODEC = Codec(load_settings(max_text_bytes=1 << 25))


def decode(text: str) -> None:
    for value in (text, f'{{"text":"a","b":{text}', f'{{"text":"a","b":"{text}"}}'):
        try:
            CODEC.decode("tweets", b"k", value.encode("utf-8", "surrogatepass"), 0, 0, 1_795_000_000_000)
        except RecordError:
            continue


def cpu_s(work: Callable[[str], None], text: str) -> float:
    """The least of some tries, since others use the machine too."""
    tries = []
    for _ in range(NUM_TRIES):
        begin = time.process_time()
        work(text)
        tries.append(time.process_time() - begin)
    return min(tries)


def assert_linear(work: Callable[[str], None], unit: str) -> None:
    small = unit * (SMALL_CHARS // len(unit))
    work(small)  # whatever is done once
    floor_s = 0.0005
    growth = cpu_s(work, small * FACTOR) / max(cpu_s(work, small), floor_s)
    assert growth < MAX_GROWTH, f"{FACTOR} times the size took {growth:.0f} times as long"


@pytest.mark.parametrize("unit", TEXTS.values(), ids=TEXTS)
def test_a_text_is_read_in_time_that_grows_with_its_length(unit: str) -> None:
    assert_linear(read_text, unit)


@pytest.mark.parametrize("unit", PAYLOADS.values(), ids=PAYLOADS)
def test_a_payload_is_decoded_in_time_that_grows_with_its_length(unit: str) -> None:
    assert_linear(decode, unit)


def test_the_measure_finds_what_grows_with_the_square() -> None:
    def slow(text: str) -> None:
        for end in range(0, len(text), 16):
            list(text[:end])

    with pytest.raises(AssertionError, match="times as long"):
        assert_linear(slow, "a")
