"""The data, the English network and the small grammar that tests of the training of many languages share."""

from __future__ import annotations

import random
from itertools import islice
from pathlib import Path

import pytest

from model.behaviour.corpus import training_streams
from model.checkpoint import save_checkpoint
from model.config import ModelConfig, Understanding
from model.data.corpora import FILES
from tests.unit.model.conftest import random_weights
from tests.unit.model.training.train_languages.toy_languages import CLASSES, ENGLISH, labelled_rows, write_rows

SIZES = ModelConfig(
    num_words=len(ENGLISH), num_buckets=8, embedding_size=16, hidden_size=16, summary_size=6, stream_size=6
)


@pytest.fixture(scope="module", name="data")
def _data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("data"), random.Random(0)
    two = ("negative", "positive")
    english = {
        "imdb": (200, two, 40), "imdb_unlabelled": (40, two, 10), "sst2": (80, two, 0), "sst2_dev": (30, two, 0),
        "semeval": (120, CLASSES, 0), "semeval_dev": (40, CLASSES, 0), "topics_2point": (80, two, 20),
        "topics_5point": (40, CLASSES, 10), "airlines": (60, CLASSES, 3),
    }  # fmt: skip
    for name, (num, labels, num_streams) in english.items():
        rows = labelled_rows("en", num, labels, rng, num_streams)
        write_rows(folder / FILES[name], [{**row, "label": None} for row in rows] if "unlabelled" in name else rows)
    write_rows(folder / "languages" / "de_tweets_train.jsonl.gz", labelled_rows("de", 200, CLASSES, rng))
    write_rows(folder / "languages" / "de_tweets_dev.jsonl.gz", labelled_rows("de", 60, CLASSES, rng))
    write_rows(folder / "languages" / "zh_meals_train.jsonl.gz", labelled_rows("zh", 250, two, rng))
    emoji = [{"text": "what a lovely film", "label": "\U0001f60d"}, {"text": "so bad", "label": "\U0001f62d"}]
    write_rows(folder / "languages" / "en_emoji_train.jsonl.gz", emoji * 5)
    return folder


@pytest.fixture(scope="module", name="english")
def _english(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("english") / "checkpoint"
    weights = random_weights(SIZES)
    save_checkpoint(
        folder,
        name="english",
        config=SIZES,
        words=ENGLISH,
        weights=weights,
        metrics={"dev_share": 0.2},
        understanding=Understanding(min_known=0.6),
    )
    return folder.parent


@pytest.fixture(autouse=True)
def _small_grammar(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name, so that the tests skip where torch is missing."""
    monkeypatch.setattr(
        "model.training.multilingual.transfer_sets.training_streams",
        lambda seed, **_: islice(training_streams(seed=seed, num_fillings=1), 20),
    )
