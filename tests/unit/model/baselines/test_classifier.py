"""The small classifiers: they learn, resume, clip gradients, and refuse unsuitable data and vectors."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from model.baselines import BASELINES, Outcome, run_baseline
from model.baselines.classifiers.sentiment140 import read_sentiment140
from model.baselines.classifiers.vocabulary import (
    PADDING,
    UNKNOWN,
    encode,
    lemmas,
    most_frequent,
    without_stop_words,
    words_of,
)
from model.data.corpora import FILES
from model.errors import ConfigError, DataError, ModelError, VectorFileError

SMALL = {"embedding_size": 8, "hidden_size": 8, "text_words": 12, "batch_texts": 32}
CLASSIFIERS = ("imdb-frozen-vectors", "imdb-rnn", "imdb-lstm", "imdb-gru", "tweets-simple-rnn")


class CutError(Exception):
    """Stands in for a kill."""


def _run(name: str, run_dir: Path, data: Path | None = None, cut: float = 2.0, **config: Any) -> Outcome:
    def on_progress(share: float, line: str) -> None:
        if share >= cut:
            raise CutError

    baseline = BASELINES[name]
    return run_baseline(baseline, baseline.config_with(SMALL | config, quick=True), data, run_dir, on_progress)


def _write_corpora(data: Path, rows: Sequence[dict[str, object]], *names: str) -> Path:
    for name in names:
        file = data / FILES[name]
        file.parent.mkdir(parents=True, exist_ok=True)
        with gzip.open(file, "wt") as handle:
            handle.writelines(json.dumps(row) + "\n" for row in rows)
    return data


def _reviews(num: int = 40) -> list[dict[str, object]]:
    words = {"positive": "a great film", "negative": "a boring film"}
    return [
        {"text": f"{words[label]}<br />take {i}", "label": label, "stream": f"film {i // 2}"}
        for i in range(num)
        for label in words
    ]


def test_it_learns_positive_and_negative_words_from_generated_phrases(tmp_path: Path) -> None:
    outcome = _run("imdb-gru", tmp_path, epochs=6, learning_rate=2e-2, dropout=0.0, num_layers=1, num_texts=0)
    assert outcome.figures["test accuracy"] > 0.8
    assert outcome.curve[-1].loss < outcome.curve[0].loss


@pytest.mark.parametrize("name", ["imdb-frozen-vectors", "imdb-lstm", "tweets-simple-rnn"])
def test_a_run_that_was_cut_off_ends_as_one_that_was_not(name: str, tmp_path: Path) -> None:
    whole = _run(name, tmp_path / "whole", epochs=3)
    with pytest.raises(CutError):
        _run(name, tmp_path / "cut", epochs=3, cut=0.5)
    assert not (tmp_path / "cut" / "outcome.json").exists()
    resumed = _run(name, tmp_path / "cut", epochs=3)
    assert resumed.curve == whole.curve
    assert resumed.figures == whole.figures
    ours, theirs = (load_file(tmp_path / run / "network.safetensors") for run in ("cut", "whole"))
    for tensor, value in theirs.items():
        np.testing.assert_array_equal(ours[tensor], value)


def test_the_accuracies_of_the_test_batches_average_to_the_overall_accuracy(tmp_path: Path) -> None:
    outcome = _run("imdb-rnn", tmp_path)
    batches = json.loads((tmp_path / "test_batches.json").read_bytes())
    assert (min(batches), max(batches)) == (
        outcome.figures["lowest batch accuracy"],
        outcome.figures["highest batch accuracy"],
    )
    num_texts = int(outcome.notes[0].split(":")[1].split(";")[0].split(" and ")[1])
    sizes = [min(32, num_texts - start) for start in range(0, num_texts, 32)]
    assert np.average(batches, weights=sizes) == pytest.approx(outcome.figures["test accuracy"])


@pytest.mark.parametrize("kind", ["value", "norm", "global-norm"])
def test_gradients_clipped_to_almost_nothing_leave_the_network_as_it_was(kind: str, tmp_path: Path) -> None:
    tensors = []
    for epochs in (1, 2):
        config = {"clip": kind, "clip_at": 1e-13, "learning_rate": 1e-4, "epochs": epochs}  # far below Adam's epsilon
        _run("imdb-rnn", tmp_path / str(epochs), **config)
        tensors.append(load_file(tmp_path / str(epochs) / "network.safetensors"))
    for name, tensor in tensors[0].items():
        np.testing.assert_allclose(tensors[1][name], tensor, rtol=0, atol=1e-6)


def test_a_run_with_another_vocabulary_is_refused(tmp_path: Path) -> None:
    first = _write_corpora(tmp_path / "first", _reviews(), "imdb")
    with pytest.raises(CutError):
        _run("imdb-rnn", tmp_path / "run", first, cut=0.1)
    other = _write_corpora(tmp_path / "other", [row | {"text": f"other {row['text']}"} for row in _reviews()], "imdb")
    with pytest.raises(ConfigError, match="began with other texts"):
        _run("imdb-rnn", tmp_path / "run", other)


def test_reviews_are_split_by_film(tmp_path: Path) -> None:
    data = _write_corpora(tmp_path / "data", _reviews(100), "imdb")
    [note] = _run("imdb-rnn", tmp_path / "run", data, num_texts=0).notes
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
    data = _write_corpora(tmp_path / "data", change(_reviews()), "imdb")
    with pytest.raises(DataError, match=problem):
        _run("imdb-rnn", tmp_path / "run", data)
    assert not (tmp_path / "run" / "steps.safetensors").exists()


def test_a_data_directory_without_the_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="imdb_train"):
        _run("imdb-lstm", tmp_path / "run", tmp_path)


def _vector_file(tmp_path: Path, words: Sequence[str], size: int = 8) -> str:
    rng = np.random.default_rng(0)
    file = tmp_path / "vectors.txt"
    file.write_text("".join(f"{word} {' '.join(f'{x:.3f}' for x in rng.standard_normal(size))}\n" for word in words))
    return str(file)


@pytest.mark.parametrize("name", ["imdb-frozen-vectors", "tweets-simple-rnn"])
def test_vectors_of_another_size_are_refused_before_training(name: str, tmp_path: Path) -> None:
    with pytest.raises(VectorFileError, match="vectors of 5 numbers"):
        _run(name, tmp_path / "run", vectors=_vector_file(tmp_path, ["the", "was"], size=5))
    assert not (tmp_path / "run" / "steps.safetensors").exists()


def test_a_frozen_embedding_keeps_the_vectors_of_the_file_and_words_without_one_are_counted(tmp_path: Path) -> None:
    file = _vector_file(tmp_path, ["the", "was", "great", "unheard-of"])
    outcome = _run("imdb-frozen-vectors", tmp_path / "run", vectors=file)
    assert "embedding.weight" not in load_file(tmp_path / "run" / "network.safetensors")
    assert (tmp_path / "run" / "vocabulary.txt").read_text().split() == ["the", "was", "great", "unheard-of"]
    assert "GloVe text): 4 words, 8 numbers each" in outcome.notes[1]
    num_missing, num_words = (int(word) for word in outcome.notes[1].split("; ")[1].split() if word.isdigit())
    assert num_missing == num_words - 3


def test_words_of_the_vocabulary_without_a_vector_are_counted_as_null_rows(tmp_path: Path) -> None:
    file = _vector_file(tmp_path, ["the", "was", "great"])
    outcome = _run("tweets-simple-rnn", tmp_path / "run", vectors=file, frozen=True, num_words=50)
    vocabulary = (tmp_path / "run" / "vocabulary.txt").read_text().split()
    assert outcome.figures["null rows"] == len(set(vocabulary) - {"the", "was", "great"}) < len(vocabulary) == 50


def test_an_embedding_that_is_not_frozen_is_trained(tmp_path: Path) -> None:
    _run("tweets-simple-rnn", tmp_path / "run", vectors=_vector_file(tmp_path, ["the"]))
    embedding = load_file(tmp_path / "run" / "network.safetensors")["embedding.weight"]
    assert np.abs(embedding[3:]).max() > 0


def test_tweets_of_three_classes_are_read_without_the_neutral_ones(tmp_path: Path) -> None:
    labels = ("negative", "neutral", "positive", "neutral") * 20
    rows = [row | {"label": label} for row, label in zip(_reviews(), labels, strict=True)]
    data = _write_corpora(tmp_path / "data", rows, "semeval", "semeval_dev")
    outcome = _run("tweets-simple-rnn", tmp_path / "run", data, num_texts=0)
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
    outcome = _run("tweets-simple-rnn", tmp_path / "run", sentiment140=str(file), num_texts=0)
    assert "of other users" in outcome.notes[0]
    assert not BASELINES["tweets-simple-rnn"].config_with({"sentiment140": str(file)}).corpora()


def test_words_are_lower_case_and_without_punctuation() -> None:
    assert words_of("It's GREAT!<br /><br/>Don\u2019t (ever) miss #1 caf\xe9...") == [
        "it's", "great", "don't", "ever", "miss", "1", "caf\xe9",
    ]  # fmt: skip


def test_the_most_frequent_words_come_first() -> None:
    assert most_frequent([["b", "a"], ["a", "c"], ["a", "c"]], 2) == ["a", "c"]


@pytest.mark.parametrize(
    ("zeros", "expected"),
    [
        ("front", [[PADDING, PADDING, 2], [UNKNOWN, 3, 2], [PADDING] * 3]),
        ("end", [[2, PADDING, PADDING], [2, 2, UNKNOWN], [PADDING] * 3]),
    ],
)
def test_texts_are_padded_and_cut_on_one_side(zeros: str, expected: list[list[int]]) -> None:
    ids = encode([["a"], ["a", "a", "x", "b", "a"], []], ["a", "b"], 3, zeros)
    assert ids.tolist() == expected


def test_stop_words_and_lemmas_are_removed_on_request() -> None:
    assert without_stop_words([["the", "flights", "were", "delayed"], ["the"]]) == [["flights", "delayed"], []]
    assert lemmas([["flights", "delayed"], ["flights"]]) == [["flight", "delay"], ["flight"]]


def test_a_package_that_is_missing_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "simplemma", None)
    with pytest.raises(ModelError, match=r"simplemma.*pip install '\.\[train\]'"):
        lemmas([["flights"]])


def test_too_few_texts_for_word_vectors_are_refused(tmp_path: Path) -> None:
    rows = [{"text": f"{label}{i}", "label": label} for i in range(20) for label in ("positive", "negative")]
    data = _write_corpora(tmp_path / "data", rows, "semeval", "semeval_dev")
    with pytest.raises(DataError, match="too few texts to train word vectors on"):
        _run("tweets-simple-rnn", tmp_path / "run", data)


@pytest.mark.parametrize(
    ("config", "problem"),
    [({"cell": "mlp"}, "cell must be"), ({"zeros": "left"}, "zeros must be"), ({"dropout": 1.0}, "below 1")],
)
def test_hyperparameters_that_no_classifier_can_have_are_refused(config: dict[str, Any], problem: str) -> None:
    for name in CLASSIFIERS:
        with pytest.raises(ConfigError, match=problem):
            BASELINES[name].config_with(config)
