"""The data that tests of the training read."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest

from model.data.corpora import FILES
from tests.unit.model.training.train.phrases import labelled_rows


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in the layout of the real one."""
    folder, rng = tmp_path_factory.mktemp("data"), random.Random(0)
    two, three = ("negative", "positive"), ("negative", "neutral", "positive")
    corpora = {
        "imdb": labelled_rows(300, two, rng, "review", 60),
        "imdb_unlabelled": [
            {"id": row["id"], "text": row["text"], "stream": row["stream"]}
            for row in labelled_rows(60, two, rng, "more", 10)
        ],
        "sst2": labelled_rows(120, two, rng, "sentence", 0),
        "sst2_dev": labelled_rows(40, two, rng, "dev sentence", 0),
        "semeval": labelled_rows(240, three, rng, "tweet", 0),
        "semeval_dev": labelled_rows(60, three, rng, "dev tweet", 0),
        "topics_2point": labelled_rows(120, two, rng, "topic", 20),
        "topics_5point": labelled_rows(60, three, rng, "topic", 10),
        "airlines": labelled_rows(100, three, rng, "flight", 3),
    }
    for name, rows in corpora.items():
        (folder / FILES[name]).parent.mkdir(exist_ok=True)
        (folder / FILES[name]).write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return folder
