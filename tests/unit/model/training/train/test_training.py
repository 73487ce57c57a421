"""A training learns, keeps its gradients clipped, and goes on with all films once it is finished."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.checkpoint import load_checkpoint
from model.errors import CheckpointError, ConfigError
from model.evaluation.evaluate import evaluate_checkpoint
from model.training import all_films, fit, stream_cell
from model.training.all_films import train_on_all_films
from model.training.batches import EncodedTexts
from model.training.run_folder import RunFolder
from tests.unit.model.training.markdown import uneven_tables
from tests.unit.model.training.train.tiny_runs import CONFIG, SIZES, train


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with its checkpoint."""
    run = tmp_path_factory.mktemp("runs") / "finished"
    train(data, run)
    return run


def test_a_trained_checkpoint_reads_texts_that_it_never_saw(data: Path, finished: Path) -> None:
    checkpoint = finished / "checkpoint"
    evaluation = evaluate_checkpoint(checkpoint, data)
    assert evaluation.row("imdb").accuracy > 0.9
    assert evaluation.row("semeval_dev").macro_recall > 0.9
    loaded = load_checkpoint(checkpoint)
    assert loaded.metrics == json.loads(json.dumps(evaluation.to_dict()))
    assert loaded.fingerprint in (checkpoint / "README.md").read_text()
    lines = [json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines()]
    teachers = ["teachers of semeval", "teachers of imdb"]
    stream = ["stream"] * stream_cell.NUM_CELLS * CONFIG.stream_epochs
    assert [line["stage"] for line in lines] == ["language", *teachers, "text", *stream, "temperature"]


def test_a_finished_network_goes_on_with_all_films_and_tells_what_it_scored_on_those_held_out(
    data: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    fit_text = all_films.fit_text_network

    def noted(run: fit.TrainingRun, corpora: Sequence[EncodedTexts], held: dict[str, EncodedTexts]) -> None:
        read.extend(len(texts) for texts in corpora)
        before.update(run.network.tensors())
        fit_text(run, corpora, held)

    before: dict[str, Any] = {}
    monkeypatch.setattr(all_films, "fit_text_network", noted)
    checkpoint = train_on_all_films(finished, data, tmp_path / "all", show_progress=False)
    metrics = json.loads((finished / "checkpoint" / "metrics.json").read_bytes())
    (num_dev,) = (row["num_texts"] for row in metrics["rows"] if (row["corpus"], row["mode"]) == ("imdb", "reset"))
    *_, num_reviews, num_dev_read = read
    assert (num_reviews, num_dev_read) == (300 - num_dev, num_dev)
    there = load_checkpoint(finished / "checkpoint").weights["word.embedding.weight"]
    np.testing.assert_array_equal(before["word.embedding.weight"], there)
    assert not np.array_equal(load_checkpoint(checkpoint).weights["word.embedding.weight"], there)

    evaluation = evaluate_checkpoint(checkpoint, data)
    assert not [row for row in evaluation.rows if row.corpus == "imdb"]
    assert evaluation.dev_share == 0
    assert evaluation.rehearsal
    assert json.loads(json.dumps(evaluation.rehearsal.to_dict())) == metrics
    card = (checkpoint / "README.md").read_text()
    assert uneven_tables(card) == []
    assert "learnt from all films" in card
    assert metrics["fingerprint"] in card


@pytest.mark.parametrize(("config", "error"), [(None, ConfigError), ("[]", ConfigError), ("run", CheckpointError)])
def test_only_a_finished_run_goes_on_with_all_films(
    config: str | None, error: type[Exception], data: Path, tmp_path: Path
) -> None:
    if config == "run":
        RunFolder(tmp_path, SIZES, CONFIG)
    elif config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(error, match=r"holds no run|can go on from|no such checkpoint"):
        train_on_all_films(tmp_path, data, tmp_path / "all", show_progress=False)
    assert not (tmp_path / "all").exists()


@pytest.mark.parametrize("kind", ["value", "norm", "global-norm"])
def test_clipping_is_a_hyperparameter_of_both_trainings(kind: str, data: Path, tmp_path: Path) -> None:
    """Gradients cut down to almost nothing, far below Adam's epsilon, leave every weight as it began."""
    steps = {"epochs": 1, "language_epochs": 1, "stream_epochs": 0}
    unclipped = replace(CONFIG, **steps, learning_rate=1e-30, language_learning_rate=1e-30)
    train(data, tmp_path / "still", unclipped)
    train(data, tmp_path / "clipped", replace(CONFIG, **steps, clip=kind, clip_at=1e-15))
    still, clipped = (load_checkpoint(tmp_path / name / "checkpoint").weights for name in ("still", "clipped"))
    for name, weights in still.items():
        np.testing.assert_allclose(clipped[name], weights, atol=1e-3, err_msg=name)


def test_without_torch_training_says_what_to_install() -> None:
    code = """if True:
        import sys
        sys.modules["torch"] = None
        from model import evaluate_checkpoint, train_checkpoint
    """
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert "pip install '.[train]'" in ended.stderr.splitlines()[-1]
