"""A run goes on after a kill, and only with the settings, words and data that it began with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from model.data.corpora import FILES
from model.errors import ConfigError, DataError
from model.training import fit
from model.training.distillation import soft_targets
from model.training.run_folder import RunFolder
from model.training_loop import Schedule, TrainingLoop
from tests.unit.model.training.train.tiny_runs import CONFIG, SIZES, train


def test_a_killed_run_ends_with_the_weights_of_one_that_never_stopped(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "SAVE_EVERY", 4)
    whole = train(data, tmp_path / "whole")

    save_step = RunFolder.save_step

    def killed(self: RunFolder, stage: str, loop: TrainingLoop) -> None:
        save_step(self, stage, loop)
        if (stage, loop.num_done) == ("text", 8):
            raise KeyboardInterrupt

    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        context.setattr(RunFolder, "save_step", killed)
        train(data, tmp_path / "killed")
    steps = _count_steps(monkeypatch)
    with monkeypatch.context() as context:
        context.setattr(soft_targets, "_logits_of", None)  # the teachers' logits are saved already
        resumed = train(data, tmp_path / "killed")
    assert min(steps) == 8
    assert (resumed / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()


def _count_steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the steps taken from now on."""
    steps: list[int] = []
    make_schedule = fit.warm_up_then_decay

    def counted(num_warmup: float, num_steps: int) -> Schedule:
        schedule = make_schedule(num_warmup, num_steps)

        def factor(step: int) -> float:
            steps.append(step)
            return schedule(step)

        return factor

    monkeypatch.setattr(fit, "warm_up_then_decay", counted)
    return steps


def test_a_run_folder_is_not_continued_with_other_settings(data: Path, tmp_path: Path) -> None:
    RunFolder(tmp_path / "run", SIZES, CONFIG)
    with pytest.raises(ConfigError, match="epochs is 5 there and 7 here; seed is 1 there and 2 here"):
        train(data, tmp_path / "run", replace(CONFIG, epochs=7, seed=2))


def test_a_run_folder_is_not_continued_with_other_words(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", SIZES, CONFIG)
    folder.check_words(["a", "b"])
    folder.check_words(["a", "b"])
    with pytest.raises(ConfigError, match="began with other texts"):
        folder.check_words(["a", "c"])


def test_a_folder_of_something_else_is_not_taken_for_a_run(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ConfigError, match="is not the file of a run"):
        RunFolder(tmp_path, SIZES, CONFIG)


def test_missing_data_is_named_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=FILES["semeval"]):
        train(tmp_path, tmp_path / "run")
    assert not (tmp_path / "run").exists()
