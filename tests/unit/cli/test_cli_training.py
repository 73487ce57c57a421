"""`sentiment train --preset`: what it shows, what it refuses, and its message when torch is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

pytest.importorskip("torch", reason="presets need pip install '.[train]'")

from worker.cli import app
from worker.errors import EXIT_FAILED, EXIT_MISUSED, EXIT_OK

QUICK = ("--quick", "--set", "num_texts=100", "--set", "hidden_size=4", "--set", "embedding_size=4")


def train(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["train", *map(str, arguments)])


def test_a_quick_run_shows_its_figures_beside_the_published_one_and_its_notes(tmp_path: Path) -> None:
    result = train("--preset", "imdb-rnn", "--run", tmp_path, *QUICK, "--set", "clip=norm")
    assert result.exit_code == EXIT_OK
    for shown in ("test accuracy", "0.7902", "parameters", "- on generated phrases, not on published data"):
        assert shown in result.output
    assert json.loads((tmp_path / "config.json").read_bytes())["clip"] == "norm"
    assert (tmp_path / "outcome.json").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--preset", "imdb-lstn", "--quick"), "there are\n  "),
        (("--preset", "imdb-lstn", "--quick"), "tweets-simple-rnn  "),
        (("--preset", "imdb-lstm"), "imdb-lstm needs --data, a directory with imdb, or --quick"),
        (("--preset", "imdb-lstm", "--quick", "--set", "epoch=3"), "there is no 'epoch'"),
        (("--preset", "imdb-lstm", "--quick", "--set", "epochs=many"), "'many' is not of type int"),
        (("--preset", "tweets-simple-rnn", "--quick", "--set", "lemmas=perhaps"), "'perhaps' is not of type bool"),
        (("--preset", "imdb-lstm", "--quick", "--set", "clip=hard", "--set", "dropout=1"), "clip must be one of none"),
        ((), "needs --data"),
        (("--quick", "--data", "x"), "takes no --quick"),
        (("--languages", "x", "--preset", "lm"), "takes neither --preset nor --all-films"),
        (("--languages", "x", "--all-films", "y"), "takes neither --preset nor --all-films"),
        (("--languages", "x"), "needs --data"),
        (("--languages", "x", "--data", "x", "--set", "epoch=3"), "there is no 'epoch'"),
    ],
)
def test_misuse_is_explained_before_anything_is_written(
    arguments: tuple[str, ...], expected: str, tmp_path: Path
) -> None:
    result = train("--run", tmp_path / "run", *arguments)
    assert result.exit_code == EXIT_MISUSED
    assert expected in result.stderr
    assert not (tmp_path / "run").exists()


def test_help_lists_the_presets_and_needs_nothing_else() -> None:
    result = train("--preset", "help")
    assert result.exit_code == EXIT_OK
    assert "tweets-simple-rnn  " in result.output
    assert "lm  " in result.output


def test_a_training_without_a_directory_is_refused() -> None:
    result = train("--preset", "imdb-rnn", "--quick")
    assert result.exit_code == EXIT_MISUSED
    assert "train needs --run" in result.stderr


def test_missing_data_is_named(tmp_path: Path) -> None:
    result = train("--preset", "imdb-rnn", "--run", tmp_path / "run", "--data", tmp_path)
    assert result.exit_code == EXIT_FAILED
    assert "the data directory lacks" in result.stderr


@pytest.mark.parametrize(("word", "value"), [("true", True), ("no", False)])
def test_a_boolean_is_set_by_a_word(word: str, value: bool, tmp_path: Path) -> None:
    result = train("--preset", "tweets-simple-rnn", "--run", tmp_path, *QUICK, "--set", f"lemmas={word}")
    assert result.exit_code == EXIT_OK
    assert json.loads((tmp_path / "config.json").read_bytes())["lemmas"] is value


def test_without_torch_the_message_says_what_to_install(tmp_path: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from worker.cli import main; main()"
    command = [sys.executable, "-c", code, "train", "--preset", "imdb-rnn", "--quick", "--run", tmp_path / "run"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == EXIT_FAILED
    assert "pip install '.[train]'" in run.stderr
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "run").exists()
