"""What the training of many languages refuses before it writes anything."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

from model.errors import CheckpointError, ConfigError, DataError, ModelError
from tests.unit.model.training.train_languages.small_runs import train
from tests.unit.model.training.train_languages.toy_languages import Encoder, write_rows


def test_a_network_of_one_language_cannot_stand_for_a_first_round(english: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a network of many languages"):
        train(english, data, tmp_path / "run", num_rounds=2, first_round=english)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("file", "row", "reason"),
    [
        ("xx_tweets_train.jsonl.gz", {"text": "a", "label": "positive"}, "the languages are ar, de"),
        ("tweets.jsonl.gz", {"text": "a", "label": "positive"}, "LANGUAGE_KIND_train"),
        ("fr_tweets_train.jsonl.gz", {"text": "a"}, "no labels"),
        ("fr_tweets_train.jsonl.gz", {"text": "a", "label": "positive"}, "at least two classes"),
        ("fr_tweets_dev.jsonl.gz", None, "none for train"),
        ("en_emoji_train.jsonl.gz", {"text": "a"}, "an emoji as its label"),
    ],
)
def test_a_corpus_that_cannot_be_used_is_refused_before_anything_is_read(
    file: str, row: dict | None, reason: str, english: Path, data: Path, tmp_path: Path
) -> None:
    copytree(data, tmp_path / "data")
    rows = [row] * 3 if row else [{"text": "a", "label": "positive"}, {"text": "b", "label": "negative"}]
    write_rows(tmp_path / "data" / "languages" / file, rows)
    with pytest.raises(DataError, match=reason):
        train(english, tmp_path / "data", tmp_path / "run", load_encoder=lambda: pytest.fail("asked for the teacher"))
    assert not (tmp_path / "run").exists()


def _no_encoder() -> Encoder:
    raise ModelError("no teacher")


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"load_encoder": _no_encoder}, ModelError), ({"english": "absent"}, CheckpointError), ({"data": ""}, DataError)],
)
def test_a_teacher_a_start_or_data_that_cannot_be_had_is_said_before_anything_is_written(
    changes: dict[str, object], error: type[Exception], english: Path, data: Path, tmp_path: Path
) -> None:
    start, corpora = Path(str(changes.pop("english", english))), Path(str(changes.pop("data", data)))
    with pytest.raises(error):
        train(start, corpora, tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_data_without_other_languages_and_a_run_with_other_settings_are_refused(
    english: Path, data: Path, tmp_path: Path
) -> None:
    copytree(data, tmp_path / "data", ignore=ignore_patterns("languages"))
    with pytest.raises(DataError, match="languages/ is needed"):
        train(english, tmp_path / "data", tmp_path / "run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text('{"epochs": 9}')
    with pytest.raises(ConfigError, match="other settings"):
        train(english, data, tmp_path / "run")
