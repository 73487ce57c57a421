"""Corpora of languages: how they are split, and which texts of one are kept out of another."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from model.data.corpora import Example
from model.data.languages import read_emoji_tweets, read_language_corpora
from model.data.splits import without_same_texts
from model.errors import DataError


def _write(folder: Path, name: str, rows: Sequence[dict[str, str]]) -> None:
    file = folder / "languages" / f"{name}.jsonl.gz"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))


def _rows(num: int, num_streams: int = 0) -> list[dict[str, str]]:
    rows = [{"id": str(n), "text": f"text {n}", "label": ("positive", "negative")[n % 2]} for n in range(num)]
    return [row | ({"stream": f"film {n % num_streams}"} if num_streams else {}) for n, row in enumerate(rows)]


def test_a_directory_without_languages_has_none(tmp_path: Path) -> None:
    assert read_language_corpora(tmp_path) == {}
    assert read_emoji_tweets(tmp_path) == []


def test_a_dev_file_is_what_is_measured_and_its_texts_are_not_learnt(tmp_path: Path) -> None:
    _write(tmp_path, "de_tweets_train", _rows(30))
    _write(tmp_path, "de_tweets_dev", _rows(4))
    corpus = read_language_corpora(tmp_path)["de_tweets"]
    assert (corpus.language, corpus.kind) == ("de", "tweets")
    assert [example.text for example in corpus.dev] == [f"text {n}" for n in range(4)]
    assert [example.text for example in corpus.train] == [f"text {n}" for n in range(4, 30)]


def test_without_a_dev_file_whole_streams_are_held_out(tmp_path: Path) -> None:
    _write(tmp_path, "ko_films_train", _rows(200, num_streams=20))
    corpus = read_language_corpora(tmp_path)["ko_films"]
    held, learnt = ({example.stream for example in part} for part in (corpus.dev, corpus.train))
    assert held
    assert learnt
    assert not held & learnt
    assert len(corpus.dev) + len(corpus.train) == 200


def test_a_file_of_another_name_or_language_is_refused_by_name(tmp_path: Path) -> None:
    _write(tmp_path, "klingon_tweets_train", _rows(4))
    _write(tmp_path, "de_tweets_test", _rows(4))
    with pytest.raises(DataError, match=r"(?s)de_tweets_test.*klingon_tweets_train.*the languages are ar, de, en"):
        read_language_corpora(tmp_path)


def test_tweets_with_the_emoji_that_they_had_are_read(tmp_path: Path) -> None:
    _write(tmp_path, "en_emoji_train", [{"text": "so good", "label": "\U0001f60d"}])
    assert read_emoji_tweets(tmp_path) == [("so good", "\U0001f60d")]
    assert read_language_corpora(tmp_path) == {}, "its labels are no classes"
    (tmp_path / "languages" / "en_emoji_train.jsonl.gz").write_bytes(b"broken")
    with pytest.raises(DataError, match="cannot be read"):
        read_emoji_tweets(tmp_path)


def test_the_same_text_is_found_whatever_its_links_names_signs_and_case() -> None:
    texts = [
        "@bob So GOOD! http://t.co/x",
        "so good @user http",
        "&quot;So good&quot;",
        "So good indeed",
        "https://t.co/y",
    ]
    kept = without_same_texts([Example("", text) for text in texts], [Example("", "So good.")])
    assert [example.text for example in kept] == texts[3:]
