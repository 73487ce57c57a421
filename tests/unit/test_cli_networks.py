"""The commands about networks, on small checkpoints: compare, vectors near, vectors train."""

from __future__ import annotations

import gzip
import json
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from model import Evaluation, Row, evaluate_checkpoint
from model.checkpoint import load_checkpoint, save_checkpoint
from model.compare import Compared
from model.data import FILES
from tests.checkpoints import WORDS, save_tiny_checkpoint
from worker.cli import app
from worker.cli.networks import _comparison
from worker.errors import EXIT_FAILED, EXIT_MISUSED, EXIT_OK

pytestmark = pytest.mark.usefixtures("same_logs_afterwards")


def run(*arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, [str(argument) for argument in arguments])


def _rows(labels: tuple[str, ...], num_streams: int, rng: random.Random) -> list[dict[str, Any]]:
    return [
        {
            "text": " ".join(rng.choices(WORDS, k=6)),
            "label": labels[i % len(labels)],
            "split": ("train", "dev")[i % 4 > 1],
        }
        | ({"stream": f"stream {i % num_streams}"} if num_streams else {})
        for i in range(48)
    ]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in the layout of the real one."""
    folder, rng = tmp_path_factory.mktemp("data"), random.Random(0)
    two, three = ("negative", "positive"), ("negative", "neutral", "positive")
    for name, file in FILES.items():
        labels = three if name.startswith("semeval") or name == "topics_5point" else two
        rows = _rows(labels, 15 if name.startswith(("imdb", "topics")) else 0, rng)
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return folder


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_checkpoint(tmp_path_factory.mktemp("checkpoints") / "other", seed=2)


def _with_metrics(source: Path, folder: Path, metrics: dict[str, Any]) -> Path:
    loaded = load_checkpoint(source)
    parts = {"name": "split", "config": loaded.config, "words": loaded.words, "weights": loaded.weights}
    save_checkpoint(folder, metrics=metrics, **parts)
    return folder


def test_compare_tells_of_each_checkpoint_what_evaluate_tells(data: Path, tiny_checkpoint: Path, other: Path) -> None:
    result = run("compare", tiny_checkpoint, other, "--data", data, "--json")
    assert result.exit_code == EXIT_OK, result.output
    compared = json.loads(result.stdout)["checkpoints"]
    assert [each["checkpoint"] for each in compared] == [str(tiny_checkpoint), str(other)]
    for each, folder in zip(compared, (tiny_checkpoint, other), strict=True):
        assert each["evaluation"] == json.loads(json.dumps(evaluate_checkpoint(folder, data).to_dict()))
        sizes = load_checkpoint(folder).config
        assert each["num_parameters"] == sum(int(np.prod(shape)) for shape in sizes.tensor_shapes().values())
        assert each["size_bytes"] == sum(len(file.read_bytes()) for file in folder.iterdir())


def test_compare_shows_a_line_for_each_corpus_and_mode_below_the_sizes(data: Path, tiny_checkpoint: Path) -> None:
    result = run("compare", "default", tiny_checkpoint, "--data", data)
    assert result.exit_code == EXIT_OK, result.output
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.stdout.splitlines() if "│" in line]
    parameters, size, *rows = cells
    assert parameters[0] == "parameters"
    assert int(parameters[2].replace(",", "")) > 100 * int(parameters[3].replace(",", ""))
    assert size[0] == "size on disk"
    evaluation = evaluate_checkpoint(tiny_checkpoint, data)
    assert [row[:2] for row in rows] == [[row.corpus, row.mode] for row in evaluation.rows]
    assert [row[3].split() for row in rows] == [[f"{r.accuracy:.2%}", f"{r.macro_recall:.4f}"] for r in evaluation.rows]


def _compared(name: str, accuracy: float, macro_recall: float) -> Compared:
    figures = {"calibration_error": 0.1, "confusion": ((1,),), "num_neutral": 0, "num_texts": 1}
    row = Row(corpus="imdb", mode="reset", accuracy=accuracy, macro_recall=macro_recall, **figures)  # type: ignore[arg-type]
    evaluation = Evaluation(name=name, fingerprint="f", dev_share=0.2, split_seed=0, rows=(row,))
    return Compared(checkpoint=name, num_parameters=1, size_bytes=1, evaluation=evaluation)


def test_the_best_of_each_figure_is_bold_and_so_is_its_equal() -> None:
    console = Console(force_terminal=True, color_system="standard", width=120, no_color=True)
    with console.capture() as capture:
        console.print(_comparison([_compared("[b]a", 0.5, 0.7), _compared("b", 0.6, 0.4), _compared("c", 0.6, 0.2)]))
    shown = capture.get()
    assert "[b]a" in shown  # a path is no markup
    assert [f"\x1b[1m{figure}\x1b[0m" in shown for figure in ("50.00%", "60.00%", "0.7000", "0.4000", "0.2000")] == [
        False,
        True,
        True,
        False,
        False,
    ]
    assert shown.count("\x1b[1m60.00%") == 2


@pytest.mark.parametrize("metrics", [{"dev_share": 0.3, "split_seed": 0}, {"dev_share": 0.2, "split_seed": 5}])
def test_checkpoints_that_held_other_films_out_are_not_compared(
    metrics: dict[str, Any], data: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    split = _with_metrics(tiny_checkpoint, tmp_path / "split", metrics)
    result = run("compare", tiny_checkpoint, split, "--data", data)
    assert result.exit_code == EXIT_FAILED
    assert "held different films out" in result.stderr
    assert f"{split}: dev_share={metrics['dev_share']}, split_seed={metrics['split_seed']}" in result.stderr
    assert "train --set dev_share=0.2 --set split_seed=0" in result.stderr
    same = _with_metrics(tiny_checkpoint, tmp_path / "same", metrics)
    assert run("compare", same, split, "--data", data).exit_code == EXIT_OK


def test_fewer_than_two_checkpoints_are_misuse(data: Path, tiny_checkpoint: Path) -> None:
    for checkpoints in ((tiny_checkpoint,), (tiny_checkpoint, tiny_checkpoint)):
        result = run("compare", *checkpoints, "--data", data)
        assert result.exit_code == EXIT_MISUSED
        assert "two different checkpoints or more" in result.stderr


def test_what_cannot_be_read_is_named_before_anything_is_measured(data: Path, tiny_checkpoint: Path) -> None:
    result = run("compare", tiny_checkpoint, "nowhere", "--data", data)
    assert (result.exit_code, result.stderr) == (
        EXIT_FAILED,
        "sentiment: nowhere: there is no such checkpoint folder\n",
    )
    result = run("compare", tiny_checkpoint, "default", "--data", "no_data")
    assert result.exit_code == EXIT_FAILED
    assert "the data folder lacks no_data/reviews/imdb_train.jsonl.gz" in result.stderr


def test_near_shows_a_column_of_words_for_each_word(tiny_checkpoint: Path) -> None:
    result = run("vectors", "near", "GREAT", "<url>", "--count", 3, "--checkpoint", tiny_checkpoint)
    assert result.exit_code == EXIT_OK, result.output
    heading, *lines = [line for line in result.stdout.splitlines() if "┃" in line or "│" in line]
    assert [word.strip() for word in heading.split("┃")[1:-1]] == ["great", "<url>"]
    assert len(lines) == 3
    assert {line.split("│")[1].split()[0] for line in lines} < set(WORDS) - {"great"}


def test_a_word_without_a_vector_is_misuse_and_the_message_says_where_the_words_are(tiny_checkpoint: Path) -> None:
    result = run("vectors", "near", "good", "xyzzy", "--checkpoint", tiny_checkpoint)
    assert result.exit_code == EXIT_MISUSED
    assert "no vector for 'xyzzy'" in result.stderr
    assert str(tiny_checkpoint / "vocabulary.txt") in result.stderr
    assert run("vectors", "near", "good", "--count", 0).exit_code == EXIT_MISUSED


def test_vectors_are_trained_into_a_new_file_and_not_over_an_old_one(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("gensim", reason="word vectors need pip install '.[train]'")
    file = tmp_path / "vectors.txt"
    result = run("vectors", "train", "--data", data, "--to", file)
    assert result.exit_code == EXIT_OK, result.output
    num_words = int(file.read_text().split()[0])
    assert result.stdout == f"{file}: vectors of {num_words} words\n"
    assert len(file.read_text().splitlines()) == num_words + 1
    result = run("vectors", "train", "--data", data, "--to", file)
    assert result.exit_code == EXIT_FAILED
    assert "is not overwritten" in result.stderr


def test_vectors_train_without_gensim_says_what_to_install(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gensim", None)
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    result = run("vectors", "train", "--data", data, "--to", tmp_path / "vectors.txt")
    assert result.exit_code == EXIT_FAILED
    assert "pip install '.[train]'" in result.stderr
