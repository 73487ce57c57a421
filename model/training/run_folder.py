"""The folder of one training run, from which a killed run goes on.

config.json          sizes and knobs; a folder is only ever continued with the same ones
log.jsonl            a line per saved point
STAGE.safetensors    of language, text: the network, Adam's moments and the number of steps done
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
    """A run's files. Raises ConfigError where the folder belongs to a run with other settings."""

    def __init__(self, path: Path, sizes: ModelConfig, config: TrainConfig) -> None:
        self.path = path
        self.checkpoint = path / "checkpoint"
        keep_settings(path, asdict(sizes) | asdict(config))

    def check_words(self, words: Sequence[str]) -> None:
        """Keep the vocabulary. Raises ConfigError where the run began with another one, as saved rows depend on it."""
        if not keep_whole(self.path / "vocabulary.txt", "\n".join(words).encode()):
            raise ConfigError(f"{self.path} holds a run that began with other texts or another tokenizer")

    def log(self, stage: str, step: int, **figures: float) -> None:
        """Add a line to the log."""
        line = {"stage": stage, "step": step} | {name: round(value, 5) for name, value in figures.items()}
        with (self.path / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def save_tensors(self, name: str, tensors: dict[str, Tensor]) -> None:
        """Write `name`.safetensors, whole or not at all."""
        write_whole(self._file(name), save(tensors))

    def load_tensors(self, name: str) -> dict[str, Tensor] | None:
        """Read `name`.safetensors; None where the run did not come that far."""
        file = self._file(name)
        return load_file(file) if file.exists() else None

    def save_step(self, stage: str, loop: TrainingLoop) -> None:
        """Save all that the steps of the stage after the last one depend on."""
        loop.save(self._file(stage))

    def load_step(self, stage: str, loop: TrainingLoop) -> None:
        """Let `loop` go on from the step that was saved last, if any."""
        loop.load(self._file(stage))

    def _file(self, name: str) -> Path:
        return self.path / f"{name}.safetensors"
