"""The identifier's training: the texts that it reads, and what it learns of them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from model.inference.languages import fit as training
from model.inference.languages.examples import fragment, read_sources
from model.inference.languages.identifier import LanguageIdentifier

TEXTS = {
    "languages/de_tweets_train": "das essen war gut und wir kommen wieder",
    "languages/de_tweets_dev": "wir waren gut",
    "languages/ms_news_train": "makanan itu sedap",
    "languages/hi_tweets_train": "khana bahut accha tha",
    "reviews/imdb_train": "the film was long",
    "reviews/sst2_train": "a film that was good",
    "reviews/sst2_dev": "good film",
    "tweets/semeval_train": "the food was good",
    "tweets/semeval_dev": "the food was bad",
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name, text in TEXTS.items():
        file = tmp_path / f"{name}.jsonl.gz"
        file.parent.mkdir(exist_ok=True)
        lines = [json.dumps({"text": f"{text} {number}"}) for number in range(60)]
        file.write_bytes(gzip.compress("\n".join([*lines, json.dumps({"text": "12:30"})]).encode()))
    return tmp_path


def test_texts_are_held_out_where_there_is_no_file_of_them(data: Path) -> None:
    sources = {source.name: source for source in read_sources(data)}
    assert set(sources) == {"de_tweets", "hi_tweets", "hi_devanagari", "en_films", "en_sentences", "en_posts"}
    german, films = sources["de_tweets"], sources["en_films"]
    assert len(german.train) + len(german.calibration) == len(german.test) == 60
    assert len({*films.train, *films.calibration, *films.test}) == 60
    assert films.train and films.calibration and films.test
    assert sources["hi_devanagari"].train[0].startswith("हहहहह हहहहह")


def test_a_fragment_is_a_short_run_of_the_text_from_the_beginning_of_a_word() -> None:
    random, text = np.random.default_rng(1), "the food was cold and the service was very slow " * 2
    found = [fragment(text, random) for _ in range(50)]
    assert all(2 <= len(one) <= 60 and (text.startswith(one) or f" {one}" in text) for one in found)


def test_training_twice_gives_one_identifier_that_names_the_texts(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "EPOCH_TEXTS", 60)
    sources = read_sources(data)
    first, second = (training.fit(sources, 1, 8).tables(1.0) for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    save_file(first, tmp_path / "weights.safetensors")
    texts = ["wir kommen wieder zum essen", "the film was good", "खाना ठंडा था और सेवा बहुत धीमी थी"]
    found = LanguageIdentifier(tmp_path / "weights.safetensors").identify(texts)
    assert [language.code for language in found] == ["de", "en", "hi"]


def test_texts_in_another_language_than_that_of_their_file_are_left_out(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "EPOCH_TEXTS", 60)
    sources = read_sources(data)
    model = training.fit(sources, 1, 8)
    german = sources[0]._replace(train=[*sources[0].train[:3], "the film was good and the food was good"])
    (kept,) = training.without_strays([german], model)
    assert kept.train == german.train[:3]
