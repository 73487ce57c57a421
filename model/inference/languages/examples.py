"""Texts of known languages, to train the identifier on and to measure it."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np

from model.inference.languages.identifier import LANGUAGES, MAX_CHARS
from model.inference.languages.ngrams import ngrams_of

MAX_TEXTS = 12_000  # of a file
_TENTHS = 10
_LATIN_HINDI = "hi_tweets"
_ENGLISH = {
    "en_films": ("reviews/imdb_train.jsonl.gz", None),
    "en_sentences": ("reviews/sst2_train.jsonl.gz", "reviews/sst2_dev.jsonl.gz"),
    "en_posts": ("tweets/semeval_train.jsonl.gz", "tweets/semeval_dev.jsonl.gz"),
}


class Source(NamedTuple):
    """The first MAX_CHARS characters of a file's texts. `test` is the dev file, or held out where there is none."""

    name: str
    language: str
    train: list[str]
    calibration: list[str]
    test: list[str]


def read_sources(data: Path) -> list[Source]:
    """The files of LANGUAGES in data/languages, and the English ones beside it, in order of their names."""
    sources = []
    for file in sorted((data / "languages").glob("*_train.jsonl.gz")):
        name = file.name.removesuffix("_train.jsonl.gz")
        if name[:2] in LANGUAGES:
            dev = file.with_name(f"{name}_dev.jsonl.gz")
            sources.append(_source(name, file, dev if dev.exists() else None))
            if name == _LATIN_HINDI:
                sources.append(_in_devanagari(sources[-1]))
    for name, (train, test) in _ENGLISH.items():
        sources.append(_source(name, data / train, data / test if test else None))
    return sources


def _in_devanagari(source: Source) -> Source:
    """The source with one letter of Devanagari for each: the identifier only counts the letters of that script."""
    train, calibration = ([re.sub(r"[^\W\d_]", "ह", text) for text in texts] for texts in source[2:4])
    return Source("hi_devanagari", source.language, train, calibration, [])


def fragment(text: str, random: np.random.Generator) -> str:
    """2 to 60 characters of the text, few as often as many, from the beginning of one of its words."""
    starts = [0, *(place + 1 for place, character in enumerate(text[:-10]) if character == " ")]
    start = starts[int(random.integers(len(starts)))]
    return text[start : start + int(2 * 30 ** random.random())]


def _source(name: str, train: Path, test: Path | None) -> Source:
    """A tenth of the texts, by a hash, is held out for calibration, and another one to test where there is no file."""
    if test:
        kept, tested = _read(train, lambda tenth: tenth > 0), _read(test, lambda _: True)
    else:
        kept, tested = _read(train, lambda tenth: tenth > 1), _read(train, lambda tenth: tenth == 1)
    return Source(name, name[:2], kept, _read(train, lambda tenth: tenth == 0), tested)


def _read(file: Path, keep: Callable[[int], bool]) -> list[str]:
    """The texts with letters, of those that `keep` wants."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"][:MAX_CHARS] for line, _ in zip(lines, range(MAX_TEXTS), strict=False)]
    has_letters = (ngrams_of(texts).scripts.sum(axis=1) > 0).tolist()
    tenths = [sha256(text.encode()).digest()[0] % _TENTHS for text in texts]
    return [text for text, has, tenth in zip(texts, has_letters, tenths, strict=True) if has and keep(tenth)]
