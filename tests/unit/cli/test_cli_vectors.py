"""The commands about word vectors, on a small checkpoint and small files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.checkpoints import WORDS
from worker.cli import app
from worker.errors import EXIT_FAILED, EXIT_MISUSED, EXIT_OK

pytestmark = pytest.mark.usefixtures("same_logs_afterwards")

GLOVE = "king 3 1\nqueen 3 -1\nman 1 1\nwoman 1 -1\n[b] -1 0\n"


def run(*arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def glove(tmp_path: Path) -> Path:
    pytest.importorskip("gensim", reason="word vectors need pip install '.[train]'")
    (tmp_path / "glove.txt").write_text(GLOVE)
    return tmp_path / "glove.txt"


def _cells(output: str) -> list[list[str]]:
    lines = [line for line in output.replace("┃", "│").splitlines() if "│" in line]
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines]


def test_near_shows_a_column_of_words_for_each_word(tiny_checkpoint: Path) -> None:
    result = run("vectors", "near", "GREAT", "<url>", "--count", 3, "--checkpoint", tiny_checkpoint)
    assert result.exit_code == EXIT_OK, result.output
    heading, *lines = [line for line in result.stdout.splitlines() if "┃" in line or "│" in line]
    assert [word.strip() for word in heading.split("┃")[1:-1]] == ["great", "<url>"]
    assert len(lines) == 3
    assert {line.split("│")[1].split()[0] for line in lines} < set(WORDS) - {"great"}


def test_a_word_without_a_vector_is_misuse_and_the_message_names_the_vocabulary_file(tiny_checkpoint: Path) -> None:
    result = run("vectors", "near", "good", "xyzzy", "--checkpoint", tiny_checkpoint)
    assert result.exit_code == EXIT_MISUSED
    assert "no vector for 'xyzzy'" in result.stderr
    assert str(tiny_checkpoint / "vocabulary.txt") in result.stderr
    assert run("vectors", "near", "good", "--count", 0).exit_code == EXIT_MISUSED


def test_info_shows_format_number_of_words_and_size(glove: Path) -> None:
    result = run("vectors", "info", glove)
    assert (result.exit_code, result.stdout) == (EXIT_OK, f"{glove}: GloVe text, 5 words, 2 numbers a vector\n")


def test_similar_shows_a_column_for_each_word_and_analogy_one(glove: Path) -> None:
    result = run("vectors", "similar", glove, "king", "[b]", "--count", 2)
    assert result.exit_code == EXIT_OK, result.output
    assert _cells(result.stdout) == [["king", "[b]"], ["man  0.894", "woman  -0.707"], ["queen  0.800", "man  -0.707"]]
    result = run("vectors", "analogy", glove, "king", "man", "woman", "--count", 1)
    assert _cells(result.stdout)[0] == ["king - man + woman"]
    assert _cells(result.stdout)[1][0].split()[0] == "queen"


def test_missing_counts_the_words_without_a_vector_in_a_list_or_a_checkpoint(
    glove: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "words.txt").write_text("queen\nxyzzy\nKing\n")
    result = run("vectors", "missing", glove, "--words", tmp_path / "words.txt")
    assert result.stdout == f"{glove}: no vector for 2 of 3 words (66.7%)\nxyzzy King\n"
    result = run("vectors", "missing", glove, "--checkpoint", tiny_checkpoint, "--count", 3)
    line, shown = result.stdout.splitlines()
    assert line == f"{glove}: no vector for {len(WORDS)} of {len(WORDS)} words (100.0%)"
    assert shown == " ".join([*WORDS[:3], "..."])


def test_an_invalid_file_or_an_unknown_word_is_explained_in_one_line(glove: Path) -> None:
    result = run("vectors", "similar", glove, "emperor")
    assert (result.exit_code, result.stdout) == (EXIT_MISUSED, "")
    assert result.stderr == f"sentiment: {glove} has no vector for 'emperor': write words as that file does\n"
    glove.write_text(GLOVE + "prince 1\n")
    result = run("vectors", "info", glove)
    assert (result.exit_code, result.stdout) == (EXIT_FAILED, "")
    assert result.stderr == f"sentiment: {glove}, line 6: 1 numbers, but a vector has 2\n"


def test_trained_vectors_go_to_a_new_file_and_never_overwrite_one(data_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("gensim", reason="word vectors need pip install '.[train]'")
    file = tmp_path / "vectors.txt"
    result = run("vectors", "train", "--data", data_folder, "--to", file)
    assert result.exit_code == EXIT_OK, result.output
    num_words = int(file.read_text().split()[0])
    assert result.stdout == f"{file}: vectors of {num_words} words\n"
    assert len(file.read_text().splitlines()) == num_words + 1
    result = run("vectors", "train", "--data", data_folder, "--to", file)
    assert result.exit_code == EXIT_FAILED
    assert "is not overwritten" in result.stderr


def test_vectors_train_without_gensim_says_what_to_install(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gensim", None)
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    result = run("vectors", "train", "--data", data_folder, "--to", tmp_path / "vectors.txt")
    assert result.exit_code == EXIT_FAILED
    assert "pip install '.[train]'" in result.stderr


def test_vectors_trained_on_own_texts_can_be_loaded(tmp_path: Path) -> None:
    pytest.importorskip("gensim", reason="word vectors need pip install '.[train]'")
    (tmp_path / "mine.txt").write_text("a good film\na bad flight\n" * 20)
    file = tmp_path / "vectors.txt"
    result = run("vectors", "train", "--texts", tmp_path / "mine.txt", "--to", file, "--size", 8, "--epochs", 2)
    assert (result.exit_code, result.stdout) == (EXIT_OK, f"{file}: vectors of 5 words\n"), result.output
    assert run("vectors", "info", file).stdout == f"{file}: word2vec text, 5 words, 8 numbers a vector\n"


def test_vectors_are_trained_on_either_the_corpora_or_own_texts(tmp_path: Path) -> None:
    for given in ((), ("--data", tmp_path, "--texts", tmp_path / "mine.txt")):
        result = run("vectors", "train", *given, "--to", tmp_path / "vectors.txt")
        assert result.exit_code == EXIT_MISUSED
        assert "either on the corpora, --data DIR, or on your own texts, --texts FILE" in result.stderr
