# ruff: noqa: RUF001 - Chinese punctuation is meant
"""lm: training on a text file, and completion of prompts."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.baselines import Outcome, find_baseline, run_baseline
from model.baselines.next_word import NextWordConfig, perplexity, read_lines
from model.baselines.sequences import IGNORED, lines_of, windows_of
from model.baselines.word_model import LINE, SPECIAL, UNKNOWN, NextWordNetwork, WordModel, make_words, tokens_of
from model.errors import ConfigError, DataError, UnknownWordError
from model.text.tokenizer import Tokenizer

CHINESE = Path(__file__).with_name("toy_corpus_zh.txt")
BASELINE = find_baseline("lm")
CONFIG = NextWordConfig(
    text=str(CHINESE),
    embedding_size=32,
    hidden_size=48,
    batch_size=4,
    num_steps=16,
    epochs=60,
    learning_rate=1e-2,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a model trained on the Chinese corpus."""
    run_dir = tmp_path_factory.mktemp("runs") / "zh"
    run_baseline(BASELINE, CONFIG, None, run_dir)
    return run_dir


@pytest.fixture(scope="module")
def model(run: Path) -> WordModel:
    return WordModel.load(run)


def test_training_lowers_the_perplexity_of_held_out_text(run: Path) -> None:
    outcome = run_baseline(BASELINE, CONFIG, None, run)
    num_words = len((run / "vocabulary.txt").read_text().split("\n"))
    assert outcome.figures["perplexity untrained"] == pytest.approx(num_words, rel=0.2)
    assert 1 < outcome.figures["perplexity"] < outcome.figures["perplexity untrained"] / 10
    assert 0 <= outcome.figures["share of unknown words"] < 0.1
    assert outcome.curve[-1].loss < outcome.curve[0].loss
    assert str(CHINESE) in outcome.notes[0]


@pytest.mark.parametrize(
    ("prompt", "line"),
    [
        ("早上我喝", "早上我喝牛奶，晚上我喝茶。"),
        ("火车开", "火车开得很快，窗外的山很美。"),
        ("哥哥骑", "哥哥骑自行车去学校。"),
    ],
)
def test_a_prompt_from_the_corpus_is_completed_as_in_the_corpus(model: WordModel, prompt: str, line: str) -> None:
    assert line in CHINESE.read_text().splitlines()
    assert model.complete(prompt, max_words=30) == line


def test_every_character_of_a_text_without_spaces_is_a_token_and_completions_have_no_spaces(model: WordModel) -> None:
    assert {len(word) for word in model.words if word not in SPECIAL} == {1}
    for seed in range(5):
        drawn = model.complete("", temperature=1.5, seed=seed)
        assert drawn
        assert not re.search(r"\s", drawn)


def test_a_seed_fixes_what_is_sampled_and_a_higher_temperature_gives_more_variety(model: WordModel) -> None:
    drawn = [model.complete("小猫", temperature=2.0, seed=seed) for seed in range(8)]
    assert drawn == [model.complete("小猫", temperature=2.0, seed=seed) for seed in range(8)]
    assert len(set(drawn)) > len({model.complete("小猫", temperature=0.05, seed=seed) for seed in range(8)})
    assert model.complete("小猫", temperature=0.01, seed=3) == model.complete("小猫")
    assert all(text.startswith("小猫") for text in drawn)
    assert len(model.complete("小猫", max_words=2)) == len("小猫") + 2


def test_words_of_a_prompt_outside_the_vocabulary_are_named(model: WordModel) -> None:
    with pytest.raises(UnknownWordError, match="lacks 'hello', '龙'"):
        model.complete("hello 小龙")


def test_a_run_that_was_cut_off_ends_with_the_weights_of_one_that_was_not(tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=3)

    def stop(share: float, line: str) -> None:
        if share > 0.5:
            raise KeyboardInterrupt

    whole = run_baseline(BASELINE, config, None, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run_baseline(BASELINE, config, None, tmp_path / "cut", stop)
    lines: list[str] = []
    again: Outcome = run_baseline(BASELINE, config, None, tmp_path / "cut", lambda share, line: lines.append(line))
    assert len(lines) == 1
    assert again.curve == whole.curve
    assert again.figures == whole.figures


def test_a_run_does_not_go_on_with_another_text(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text(CHINESE.read_text())
    config = replace(CONFIG, text=str(file), epochs=1)
    run_baseline(BASELINE, config, None, tmp_path / "run")
    (tmp_path / "run" / "outcome.json").unlink()
    file.write_text(CHINESE.read_text().replace("猫", "虎"))
    with pytest.raises(DataError, match="began with another text"):
        run_baseline(BASELINE, config, None, tmp_path / "run")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "No such file or directory; text=FILE names a text file"),
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"\x89PNG\r\n\x1a\n\xff", "byte 0 is not UTF-8"),
        (b"text\0more", r"is binary, not text \(byte 4 is zero\)"),
        ("\u200b\n".encode(), "has no words"),
    ],
)
def test_a_file_that_is_no_text_or_has_no_words_is_refused(tmp_path: Path, content: bytes | None, problem: str) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataError, match=problem) as caught:
        run_baseline(BASELINE, replace(CONFIG, text=str(file)), None, tmp_path / "run")
    assert str(file) in str(caught.value)


def test_a_directory_is_not_a_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Is a directory"):
        read_lines(tmp_path)


def test_hyperparameters_out_of_range_are_refused_together() -> None:
    with pytest.raises(ConfigError, match=r"dropout must be below 1; held_share must be below 1; max_words must be"):
        NextWordConfig(dropout=1.0, held_share=1.5, max_words=2)
    with pytest.raises(ConfigError, match="clip must be one of"):
        NextWordConfig(clip="hard")


def test_a_directory_without_a_finished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no finished run of lm"):
        WordModel.load(tmp_path)


def test_rare_words_are_unknown_and_a_line_ends_with_its_mark() -> None:
    tokens = tokens_of(["It was good!", "  ", "It was bad"])
    assert tokens == ["it", "was", "good", "!", LINE, "it", "was", "bad", LINE]
    assert make_words(tokens, min_count=2, max_words=10) == [UNKNOWN, LINE, "it", "was"]
    assert make_words(tokens, min_count=1, max_words=4) == [UNKNOWN, LINE, "it", "was"]


def test_perplexity_follows_from_the_probabilities_of_the_next_words_and_leaves_unknown_ones_out() -> None:
    torch.manual_seed(0)
    words = [*SPECIAL, *Tokenizer.split("a b c")]
    model = WordModel(words, NextWordNetwork(len(words), 3, 4, 2, dropout=0.5))
    model.network.eval()
    ids = [1, 2, 3, 0, 4, 2]
    with torch.no_grad():
        shares = torch.softmax(model.network(torch.tensor([ids]))[0][0], dim=1).numpy()
    losses = [-np.log(shares[t, ids[t + 1]]) for t in range(len(ids) - 1) if ids[t + 1] != 0]
    assert perplexity(model, [torch.tensor([ids])]) == pytest.approx(math.exp(np.mean(losses)), rel=1e-5)


SHORT = "我爱你\n他看书\n她吃鱼\n"
SMALL = {"embedding_size": 2, "hidden_size": 2, "dropout": 0.0, "learning_rate": 0.05, "epochs": 600}


@pytest.mark.parametrize("batch_size", [1, 16])
def test_three_sentences_of_three_words_are_learnt_by_two_cells(tmp_path: Path, batch_size: int) -> None:
    file = tmp_path / "short.txt"
    file.write_text(SHORT)
    outcome = run_baseline(
        BASELINE, NextWordConfig(text=str(file), batch_size=batch_size, **SMALL), None, tmp_path / "run"
    )
    assert outcome.figures["perplexity"] < outcome.figures["perplexity untrained"] / 3
    assert "line by line" in outcome.notes[1]
    model = WordModel.load(tmp_path / "run")
    assert [model.complete(line[:2]) for line in SHORT.split()] == SHORT.split()


def test_lines_are_read_side_by_side_and_what_fills_them_up_is_not_predicted() -> None:
    batches = lines_of(torch.tensor([2, 3, 1, 4, 1, 5, 1]), line=1, num_lines=2)
    assert [batch.tolist() for batch in batches] == [[[1, 2, 3, 1], [1, 4, 1, IGNORED]], [[1, 5, 1]]]
    ((inputs, targets),) = windows_of(batches[0], num_steps=8)
    assert inputs.min() >= 0
    assert targets.tolist() == [[2, 3, 1], [4, 1, IGNORED]]
