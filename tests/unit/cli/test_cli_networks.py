"""`sentiment compare` on small checkpoints."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from model import Evaluation, Row, evaluate_checkpoint
from model.checkpoint import load_checkpoint, save_checkpoint
from model.evaluation.compare import Compared
from tests.checkpoints import save_tiny_checkpoint
from worker.cli import app
from worker.cli.networks.comparison import _comparison
from worker.errors import EXIT_FAILED, EXIT_MISUSED, EXIT_OK

pytestmark = pytest.mark.usefixtures("same_logs_afterwards")


def run(*arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_checkpoint(tmp_path_factory.mktemp("checkpoints") / "other", seed=2)


def _with_metrics(source: Path, folder: Path, metrics: dict[str, Any]) -> Path:
    loaded = load_checkpoint(source)
    contents = {"name": "split", "config": loaded.config, "words": loaded.words, "weights": loaded.weights}
    save_checkpoint(folder, metrics=metrics, **contents)
    return folder


def test_compare_gives_the_figures_of_evaluate_for_each_checkpoint(
    data_folder: Path, tiny_checkpoint: Path, other: Path
) -> None:
    result = run("compare", tiny_checkpoint, other, "--data", data_folder, "--json")
    assert result.exit_code == EXIT_OK, result.output
    compared = json.loads(result.stdout)["checkpoints"]
    assert [each["checkpoint"] for each in compared] == [str(tiny_checkpoint), str(other)]
    for each, folder in zip(compared, (tiny_checkpoint, other), strict=True):
        assert each["evaluation"] == json.loads(json.dumps(evaluate_checkpoint(folder, data_folder).to_dict()))
        sizes = load_checkpoint(folder).config
        assert each["num_parameters"] == sum(int(np.prod(shape)) for shape in sizes.tensor_shapes().values())
        assert each["size_bytes"] == sum(len(file.read_bytes()) for file in folder.iterdir())


def test_compare_shows_a_line_for_each_corpus_and_mode_below_the_sizes(
    data_folder: Path, tiny_checkpoint: Path
) -> None:
    result = run("compare", "default", tiny_checkpoint, "--data", data_folder)
    assert result.exit_code == EXIT_OK, result.output
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.stdout.splitlines() if "│" in line]
    parameters, size, *rows = cells
    assert parameters[0] == "parameters"
    assert int(parameters[2].replace(",", "")) > 100 * int(parameters[3].replace(",", ""))
    assert size[0] == "size on disk"
    evaluation = evaluate_checkpoint(tiny_checkpoint, data_folder)
    assert [row[:2] for row in rows] == [[row.corpus, row.mode] for row in evaluation.rows]
    assert [row[3].split() for row in rows] == [[f"{r.accuracy:.2%}", f"{r.macro_recall:.4f}"] for r in evaluation.rows]


def _compared(name: str, accuracy: float, macro_recall: float) -> Compared:
    figures = {"calibration_error": 0.1, "confusion": ((1,),), "num_neutral": 0, "num_texts": 1}
    row = Row(corpus="imdb", mode="reset", accuracy=accuracy, macro_recall=macro_recall, **figures)  # type: ignore[arg-type]
    evaluation = Evaluation(name=name, fingerprint="f", dev_share=0.2, split_seed=0, rows=(row,))
    return Compared(checkpoint=name, num_parameters=1, size_bytes=1, evaluation=evaluation)


def test_the_best_of_each_figure_is_bold_including_ties() -> None:
    console = Console(force_terminal=True, color_system="standard", width=120, no_color=True)
    with console.capture() as capture:
        console.print(_comparison([_compared("[b]a", 0.5, 0.7), _compared("b", 0.6, 0.4), _compared("c", 0.6, 0.2)]))
    shown = capture.get()
    assert "[b]a" in shown  # a path is not markup
    assert [f"\x1b[1m{figure}\x1b[0m" in shown for figure in ("50.00%", "60.00%", "0.7000", "0.4000", "0.2000")] == [
        False,
        True,
        True,
        False,
        False,
    ]
    assert shown.count("\x1b[1m60.00%") == 2


@pytest.mark.parametrize("metrics", [{"dev_share": 0.3, "split_seed": 0}, {"dev_share": 0.2, "split_seed": 5}])
def test_checkpoints_that_held_out_different_films_are_not_compared(
    metrics: dict[str, Any], data_folder: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    split = _with_metrics(tiny_checkpoint, tmp_path / "split", metrics)
    result = run("compare", tiny_checkpoint, split, "--data", data_folder)
    assert result.exit_code == EXIT_FAILED
    assert "held different films out" in result.stderr
    assert f"{split}: dev_share={metrics['dev_share']}, split_seed={metrics['split_seed']}" in result.stderr
    assert "train --set dev_share=0.2 --set split_seed=0" in result.stderr
    same = _with_metrics(tiny_checkpoint, tmp_path / "same", metrics)
    assert run("compare", same, split, "--data", data_folder).exit_code == EXIT_OK


def test_a_network_trained_on_all_films_is_measured_on_none_of_them(
    data_folder: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    rehearsal = evaluate_checkpoint(tiny_checkpoint, data_folder)
    metrics = {"dev_share": 0.0, "split_seed": 0, "rehearsal": rehearsal.to_dict()}
    learnt = _with_metrics(tiny_checkpoint, tmp_path / "all", metrics)

    result = run("evaluate", "--data", data_folder, "--checkpoint", learnt)
    assert result.exit_code == EXIT_OK, result.output
    assert not [line for line in result.stdout.splitlines() if line.startswith("│ imdb")]
    note = result.stdout.splitlines()[-1]
    assert note.startswith("imdb: not measured, because this network was trained on all films.")
    assert f"the last 20% of them ({rehearsal.fingerprint})" in note
    for mode in ("reset", "carried", "shuffled"):
        assert f"{mode} {rehearsal.row('imdb', mode).accuracy:.2%}" in note

    result = run("compare", learnt, tiny_checkpoint, "--data", data_folder)
    assert result.exit_code == EXIT_OK, result.output
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.stdout.splitlines() if "│" in line]
    rows = cells[2:]
    assert len(rows) == len(rehearsal.rows)
    for corpus, _, first, second in rows:
        assert first == ("trained on" if corpus == "imdb" else second)


def test_fewer_than_two_checkpoints_are_misuse(data_folder: Path, tiny_checkpoint: Path) -> None:
    for checkpoints in ((tiny_checkpoint,), (tiny_checkpoint, tiny_checkpoint)):
        result = run("compare", *checkpoints, "--data", data_folder)
        assert result.exit_code == EXIT_MISUSED
        assert "two or more different checkpoints" in result.stderr


def test_missing_files_are_named_before_anything_is_measured(data_folder: Path, tiny_checkpoint: Path) -> None:
    result = run("compare", tiny_checkpoint, "nowhere", "--data", data_folder)
    assert (result.exit_code, result.stderr) == (
        EXIT_FAILED,
        "sentiment: nowhere: there is no such checkpoint folder; packaged ones: default, en, small\n",
    )
    result = run("compare", tiny_checkpoint, "default", "--data", "no_data")
    assert result.exit_code == EXIT_FAILED
    assert "the data directory lacks no_data/reviews/imdb_train.jsonl.gz" in result.stderr


def test_a_frontier_is_timed_and_plotted_in_addition_to_the_table(
    data_folder: Path, tiny_checkpoint: Path, other: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="plots need pip install '.[train]'")
    plot = tmp_path / "frontier.svg"
    result = run("compare", tiny_checkpoint, other, "--data", data_folder, "--frontier", plot, "--json")
    assert result.exit_code == EXIT_OK, result.output
    assert all(each["tweets_per_s"] > 0 for each in json.loads(result.stdout)["checkpoints"])
    assert all(shown in plot.read_text() for shown in (">tiny-1: 0.", ">tiny-2: 0.", ">SemEval: macro recall<"))
    table = Console(width=120)
    with table.capture() as capture:
        table.print(_comparison([replace(_compared("a", 0.5, 0.5), tweets_per_s=12345.6)]))
    assert "12,346" in capture.get()


def test_an_unsupported_plot_format_is_refused_before_anything_is_measured(
    data_folder: Path, tiny_checkpoint: Path, other: Path, tmp_path: Path
) -> None:
    result = run("compare", tiny_checkpoint, other, "--data", data_folder, "--frontier", tmp_path / "frontier.pdf")
    assert (result.exit_code, result.stdout) == (EXIT_MISUSED, "")
    assert "frontier.pdf: the name of a plot should end in .svg or .png" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("a", "b"), "checkpoints are measured on labelled texts: --data DIR"),
        (("a", "b", "--quick"), "--run and --quick are for presets"),
        (("a", "b", "--run", "runs"), "--run and --quick are for presets"),
        (("--frontier", "plot.svg", "--quick"), "--frontier is for checkpoints"),
        ((), "name --data and --run; --quick takes seconds"),
        (("--data", "data"), "name --data and --run"),
        (("--run", "runs"), "name --data and --run"),
    ],
)
def test_options_that_exclude_each_other_or_are_missing_are_misuse(arguments: tuple[str, ...], problem: str) -> None:
    result = run("compare", *arguments)
    assert (result.exit_code, result.stdout) == (EXIT_MISUSED, "")
    assert problem in result.stderr
