"""The reviews and tweets that the small classifiers read: split, and refused where they are unsuitable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from model.baselines import BASELINES
from model.baselines.classifiers.sentiment140 import read_sentiment140
from model.errors import DataError
from tests.unit.model.baselines.small_runs import reviews, run_small, write_corpora


def test_reviews_are_split_by_film(tmp_path: Path) -> None:
    data = write_corpora(tmp_path / "data", reviews(100), "imdb")
    [note] = run_small("imdb-rnn", tmp_path / "run", data, num_texts=0).notes
    num_train, num_test = (int(word) for word in note.replace(",", "").split() if word.isdigit())
    assert num_train + num_test == 200
    assert 10 <= num_test <= 80


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda rows: [{**row, "label": "angry"} for row in rows], "line 1: unknown label 'angry'"),
        (lambda rows: [{"label": row["label"]} for row in rows], 'line 1: no field "text"'),
        (lambda rows: [{**row, "label": None} for row in rows], "texts without a label"),
        (lambda rows: [*rows, {"text": "x"}], "line 81: no label, but other rows have one"),
        (lambda rows: [*rows, {"text": "x", "label": 1}], "line 81: label 1 mixes words with numbers"),
        (lambda rows: [*rows, *({"text": "x", "label": "neutral"} for _ in range(50))], "and no others"),
        (lambda rows: [row for row in rows if row["label"] == "positive"], "there are positive"),
        (lambda rows: [], "no examples in it"),
    ],
)
def test_reviews_that_cannot_be_learnt_from_are_refused_before_training(
    change: Callable[[list[dict[str, object]]], list[dict[str, object]]], problem: str, tmp_path: Path
) -> None:
    data = write_corpora(tmp_path / "data", change(reviews()), "imdb")
    with pytest.raises(DataError, match=problem):
        run_small("imdb-rnn", tmp_path / "run", data)
    assert not (tmp_path / "run" / "steps.safetensors").exists()


def test_a_data_directory_without_the_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="imdb_train"):
        run_small("imdb-lstm", tmp_path / "run", tmp_path)


def test_tweets_of_three_classes_are_read_without_the_neutral_ones(tmp_path: Path) -> None:
    labels = ("negative", "neutral", "positive", "neutral") * 20
    rows = [row | {"label": label} for row, label in zip(reviews(), labels, strict=True)]
    data = write_corpora(tmp_path / "data", rows, "semeval", "semeval_dev")
    outcome = run_small("tweets-simple-rnn", tmp_path / "run", data, num_texts=0)
    assert "trained on 40, tested on 40" in outcome.notes[0]


TWEETS = [("0", "ugh, late\xe9"), ("4", "so good"), ("2", "a plane"), ("4", 'she said "wow", really')]


def _sentiment140(tmp_path: Path, num_users: int = 1) -> Path:
    file = tmp_path / "tweets.csv"
    lines = [
        f'"{target}","{user}{i}","Mon Apr 06","NO_QUERY","user {user}","{text.replace(chr(34), chr(34) * 2)}"\n'
        for user in range(num_users)
        for i, (target, text) in enumerate(TWEETS)
    ]
    file.write_text("".join(lines), encoding="latin-1")
    return file


def test_sentiment140_is_read_in_its_published_format(tmp_path: Path) -> None:
    tweets = read_sentiment140(_sentiment140(tmp_path))
    assert [tweet.text for tweet in tweets] == [text for _, text in TWEETS]
    assert [tweet.label for tweet in tweets] == [0, 2, 1, 2]
    assert {tweet.stream for tweet in tweets} == {"user 0"}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('"0","1","d","f","u"', "line 2: 5 fields; a tweet has 6: target, ids, date, flag, user, text"),
        ('"3","1","d","f","u","t"', "line 2: unknown target '3'; it is 0, 2 or 4"),
        ('"positive","1","d","f","u","t"', "line 2: unknown target"),
        ('"0","1","d","f","u","t" x', "line 2: not CSV"),
    ],
)
def test_a_malformed_row_of_sentiment140_is_named(line: str, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "tweets.csv"
    file.write_text(f'"0","1","d","f","u","t"\n{line}\n')
    with pytest.raises(DataError, match=problem):
        read_sentiment140(file)


def test_a_file_without_tweets_and_one_that_is_not_there_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    with pytest.raises(DataError, match="no tweets in it"):
        read_sentiment140(tmp_path / "empty.csv")
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_sentiment140(tmp_path / "absent.csv")


def test_sentiment140_is_split_by_user_and_needs_no_data_directory(tmp_path: Path) -> None:
    file = _sentiment140(tmp_path, num_users=60)
    outcome = run_small("tweets-simple-rnn", tmp_path / "run", sentiment140=str(file), num_texts=0)
    assert "of other users" in outcome.notes[0]
    assert not BASELINES["tweets-simple-rnn"].config_with({"sentiment140": str(file)}).corpora()
