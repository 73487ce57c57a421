"""Figures by kind of text: what counts as wrong, and what an exchange changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model import DataError, InferenceEngine, measure_behaviour
from model.behaviour.grammar import JUDGING
from model.behaviour.sentences import Sentence, make_sentences
from model.evaluation import behaviour
from model.evaluation.behaviour import NUM_FILLINGS, SEED, Read, read_with_vader, wilson_interval


def write_texts(path: Path, *rows: dict[str, str]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def test_every_sentence_of_the_judging_half_is_read_once(checkpoint: Path) -> None:
    measured = measure_behaviour(checkpoint)
    sentences = list(make_sentences(JUDGING, SEED, num_fillings=NUM_FILLINGS))
    assert sum(row.num_texts for row in measured.kinds) == len(sentences)
    assert {row.kind for row in measured.exchanges} == {"names", "places", "identities"}
    assert all(row.low <= row.num_wrong / row.num_texts <= row.high for row in measured.kinds)


def test_only_the_named_kinds_are_measured(checkpoint: Path) -> None:
    measured = measure_behaviour(checkpoint, kinds=["irony", "de"], max_failures=3)
    assert [row.kind for row in measured.kinds] == ["irony", "de"]
    assert all(len(row.failures) <= 3 for row in measured.kinds)
    assert measured.exchanges == ()
    with pytest.raises(DataError, match="there is no kind 'jokes'; kinds are names, "):
        measure_behaviour(checkpoint, kinds=["jokes"])


def test_failures_of_a_file_are_those_with_another_label(checkpoint: Path, tmp_path: Path) -> None:
    [result] = InferenceEngine.load(checkpoint).score([behaviour.Request("a", "good movie")])
    others = [label for label in ("negative", "neutral", "positive") if label != result.label]
    path = write_texts(
        tmp_path / "texts.jsonl",
        {"text": "good movie", "label": result.label, "kind": "right"},
        {"text": "good movie", "label": others[0], "kind": "wrong"},
        {"text": "good movie", "label": others[1]},
    )
    right, wrong, unnamed = measure_behaviour(checkpoint, file=path).kinds
    assert (right.kind, right.num_wrong, right.failures) == ("right", 0, ())
    assert (wrong.num_wrong, [failure.predicted for failure in wrong.failures]) == (1, [result.label])
    assert wrong.failures[0].score == result.score
    assert right.mean_confidence == wrong.mean_confidence == result.confidence
    assert (unnamed.kind, unnamed.num_wrong) == ("text", 1)


def test_a_file_without_labels_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    path = write_texts(tmp_path / "texts.jsonl", {"text": "good movie"})
    with pytest.raises(DataError, match="its texts have no labels"):
        measure_behaviour(checkpoint, file=path)


def test_an_exchange_counts_the_labels_that_differ_from_the_most_frequent_one() -> None:
    texts = [
        Sentence(f"{name} is here.", "neutral", "names", "en", "en-1", member)
        for name, member in (("A", "x"), ("B", "x"), ("C", "y"), ("D", "y"))
    ]
    found = (("neutral", 0.1), ("neutral", 0.3), ("neutral", 0.0), ("negative", -0.4))
    results = [Read(label, score, 0.5) for label, score in found]
    row = behaviour._exchanged("names", texts, results)
    assert (row.num_texts, row.share_changed, row.share_not_neutral) == (4, 0.25, 0.25)
    assert row.group_means == {"x": pytest.approx(0.2), "y": pytest.approx(-0.2)}
    assert row.largest_gap == pytest.approx(0.4)


def test_the_interval_is_wilsons() -> None:
    assert wilson_interval(1, 10) == pytest.approx((0.0179, 0.4042), abs=1e-4)
    assert wilson_interval(0, 20)[0] == 0
    assert wilson_interval(20, 20)[1] == 1


def test_vader_reads_texts_with_its_authors_bounds() -> None:
    pytest.importorskip("vaderSentiment", reason="the peer is in the extra bench")
    read = read_with_vader(["I love it", "I hate it", "The train leaves at ten"])
    assert read is not None
    assert read == ["positive", "negative", "neutral"]
