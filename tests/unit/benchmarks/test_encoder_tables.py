"""The tables of our network beside an encoder, by language and by kind of text."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.frontier.by_kind import app as by_kind
from benchmarks.frontier.by_language import app
from model.training.multilingual.e5 import DIM, E5

GOOD, BAD = ("wunderbar", "sch\u00f6n", "herrlich"), ("schlecht", "furchtbar", "mies")


class WordVectors:
    """An encoder that takes no time: the mean of a random vector for each word."""

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        found = np.array([np.sum([_random_vector(word) for word in text.split()], axis=0) for text in texts])
        return found / np.linalg.norm(found, axis=1, keepdims=True)


def _random_vector(word: str) -> np.ndarray:
    return np.random.default_rng(zlib.crc32(word.encode())).normal(size=DIM)


@pytest.fixture
def sklearn() -> None:
    pytest.importorskip("sklearn", reason="the regression needs pip install '.[train]'")


@pytest.fixture(autouse=True)
def _encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(E5, "load", WordVectors)


def _write(file: Path, num: int) -> None:
    rows = [
        {"id": f"{file.name}{n}", "text": f"der Film war {words[n % 3]} {n}", "label": label}
        for n in range(num)
        for words, label in ((GOOD, "positive"), (BAD, "negative"))
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))


@pytest.mark.usefixtures("sklearn")
def test_the_encoder_learns_from_the_training_texts_and_both_are_measured_on_the_others(
    tmp_path: Path, tiny_checkpoint: Path
) -> None:
    _write(tmp_path / "data" / "languages" / "de_tweets_train.jsonl.gz", 20)
    _write(tmp_path / "data" / "languages" / "de_tweets_dev.jsonl.gz", 8)
    arguments = ["--data", tmp_path / "data", "--vectors", tmp_path / "vectors.e5", "--checkpoint", tiny_checkpoint]
    result = CliRunner().invoke(app, [*map(str, arguments), "--kind", "tweets"])
    assert result.exit_code == 0, result.output
    name, num_texts, _, _, accuracy, f1 = result.stdout.splitlines()[-1].strip("| ").split(" | ")
    assert (name, num_texts, accuracy, f1) == ("de_tweets", "16", "100.0%", "1.000")


def test_a_kind_that_no_corpus_is_of_is_refused(tmp_path: Path) -> None:
    _write(tmp_path / "data" / "languages" / "de_tweets_train.jsonl.gz", 20)
    result = CliRunner().invoke(app, ["--data", str(tmp_path / "data"), "--vectors", "x", "--kind", "news"])
    assert result.exit_code == 1
    assert "has no such corpora" in result.stderr


@pytest.mark.usefixtures("sklearn")
def test_kinds_of_text_are_measured_with_a_regression_on_tweets(tmp_path: Path, tiny_checkpoint: Path) -> None:
    _write(tmp_path / "data" / "languages" / "de_tweets_train.jsonl.gz", 30)
    arguments = ["--data", tmp_path / "data", "--vectors", tmp_path / "vectors.e5", "--checkpoint", tiny_checkpoint]
    result = CliRunner().invoke(by_kind, [*map(str, arguments), "--max-kinds", "1"])
    assert result.exit_code == 0, result.output
    kind, num_texts, *shares = result.stdout.splitlines()[-1].strip("| ").split(" | ")
    assert int(num_texts) > 10
    assert kind in result.stdout
    assert all(0 <= float(share.rstrip("%")) <= 100 for share in shares)
