"""The commands that show what a network has learnt: explain, complete and spell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from worker.cli import app
from worker.errors import EXIT_FAILED, EXIT_MISUSED, EXIT_OK

pytestmark = pytest.mark.usefixtures("same_logs_afterwards")


def run(*arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, [str(argument) for argument in arguments])


def test_explain_shows_how_far_confidence_falls_on_each_corpus(data_folder: Path, tiny_checkpoint: Path) -> None:
    result = run("explain", "--data", data_folder, "--checkpoint", tiny_checkpoint, "--json")
    assert result.exit_code == EXIT_OK, result.output
    rows = json.loads(result.stdout)["deletions"]
    assert [row["corpus"] for row in rows] == ["semeval_dev", "sst2_dev", "imdb"]
    shown = run("explain", "--data", data_folder, "--checkpoint", tiny_checkpoint)
    assert shown.exit_code == EXIT_OK, shown.output
    for row in rows:
        [line] = [line for line in shown.stdout.splitlines() if f" {row['corpus']} " in line]
        cells = [cell.strip() for cell in line.split("│")[1:-1]]
        assert cells[1:5] == [
            str(row["num_texts"]),
            *(f"{row[name]:.4f}" for name in ("confidence", "named_fall", "random_fall")),
        ]


def test_explain_names_the_file_that_a_data_directory_lacks(tmp_path: Path, tiny_checkpoint: Path) -> None:
    result = run("explain", "--data", tmp_path, "--checkpoint", tiny_checkpoint)
    assert result.exit_code == EXIT_FAILED
    assert "semeval_dev.jsonl.gz" in result.stderr


@pytest.fixture(scope="module")
def torch() -> None:
    pytest.importorskip("torch", reason="presets need pip install '.[train]'")


@pytest.mark.usefixtures("torch")
def test_spell_shows_the_softmax_of_every_step(tmp_path: Path) -> None:
    result = run("train", "--preset", "char-rnn", "--run", tmp_path / "run", "--set", "word=[/b]no")
    assert result.exit_code == EXIT_OK, result.output
    assert "spells '[/b]no' after" in result.stdout
    result = run("spell", "--run", tmp_path / "run")
    assert result.exit_code == EXIT_OK, result.output
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.stdout.splitlines() if "│" in line]
    assert [(row[0], row[-2], row[-1]) for row in rows] == [
        (repr(one), repr(other), repr(other)) for one, other in zip("[/b]n", "/b]no", strict=True)
    ]
    for row in rows:
        assert sum(float(cell.split()[-1].rstrip("%")) for cell in row[2:-2]) == pytest.approx(100, abs=0.5)
    assert "from '[' it spells '[/b]no'" in result.stdout


@pytest.mark.usefixtures("torch")
def test_complete_continues_the_prompt(tmp_path: Path) -> None:
    result = run("train", "--preset", "lm", "--quick", "--run", tmp_path / "run")
    assert result.exit_code == EXIT_OK, result.output
    assert "phrases of the project's own grammar" in result.stdout
    arguments = ("--run", tmp_path / "run", "--temperature", "0.8", "--max-words", 5)
    drawn = {run("complete", "The plot", *arguments, "--seed", seed).stdout for seed in range(5)}
    assert all(text.startswith("The plot") for text in drawn)
    assert len(drawn) > 1
    result = run("complete", "the xyzzy", "--run", tmp_path / "run")
    assert (result.exit_code, result.stderr) == (
        EXIT_MISUSED,
        "sentiment: the text that the model was trained on lacks 'xyzzy'\n",
    )


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize(("command", "preset"), [(("complete", "the"), "lm"), (("spell",), "char-rnn")])
def test_a_folder_without_a_finished_run_is_misuse(command: tuple[str, ...], preset: str, tmp_path: Path) -> None:
    result = run(*command, "--run", tmp_path)
    assert result.exit_code == EXIT_MISUSED
    assert f"{tmp_path}: holds no finished run of {preset}" in result.stderr


@pytest.mark.usefixtures("torch")
def test_a_word_of_one_letter_is_misuse(tmp_path: Path) -> None:
    result = run("train", "--preset", "char-rnn", "--run", tmp_path / "run", "--set", "word=h")
    assert result.exit_code == EXIT_MISUSED
    assert "word must have at least 2 letters" in result.stderr
    assert not (tmp_path / "run").exists()
