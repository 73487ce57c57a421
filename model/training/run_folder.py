"""The folder of one training run, from which an interrupted run resumes.

config.json          sizes and hyperparameters; a run only resumes with the same ones
log.jsonl            one line per saved step
STAGE.safetensors    the snapshot of a stage (training_loop.py), or what it computed
checkpoint/          the finished checkpoint, with its metrics and card
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from safetensors.torch import load_file, save
from torch import Tensor

from model.config import ModelConfig, TrainConfig
from model.errors import ConfigError
from model.files import keep_settings, keep_whole, write_whole
from model.training_loop import TrainingLoop


class RunFolder:
    """The files of a run. Raises ConfigError if the folder belongs to a run with other settings."""

    def __init__(self, path: Path, sizes: ModelConfig, config: TrainConfig) -> None:
        self.path = path
        self.checkpoint = path / "checkpoint"
        keep_settings(path, asdict(sizes) | asdict(config))

    def check_words(self, words: Sequence[str]) -> None:
        """Keep the vocabulary. Raises ConfigError if the run began with another one, whose rows mean other words."""
        if not keep_whole(self.path / "vocabulary.txt", "\n".join(words).encode()):
            raise ConfigError(f"{self.path} holds a run that began with other texts or another tokenizer")

    def log(self, stage: str, step: int, **figures: float) -> None:
        """Add a line to the log."""
        line = {"stage": stage, "step": step} | {name: round(value, 5) for name, value in figures.items()}
        with (self.path / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def save_tensors(self, name: str, tensors: dict[str, Tensor]) -> None:
        """Write `name`.safetensors atomically."""
        write_whole(self._file(name), save(tensors))

    def load_tensors(self, name: str) -> dict[str, Tensor] | None:
        """Read `name`.safetensors; None if the run has not come that far."""
        file = self._file(name)
        return load_file(file) if file.exists() else None

    def save_step(self, stage: str, loop: TrainingLoop) -> None:
        """Save all that the next steps of the stage depend on."""
        loop.save(self._file(stage))

    def load_step(self, stage: str, loop: TrainingLoop) -> None:
        """Let `loop` continue from the last saved step, if any."""
        loop.load(self._file(stage))

    def remove_step(self, stage: str) -> None:
        """Remove the snapshot of a stage that is finished: beside its result it only takes room."""
        self._file(stage).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self.path / f"{name}.safetensors"
