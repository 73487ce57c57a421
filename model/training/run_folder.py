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

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from model.config import ModelConfig, TrainConfig
from model.errors import ConfigError
from model.files import keep_settings, write_whole


class RunFolder:
    """A run's files. Raises ConfigError where the folder belongs to a run with other settings."""

    def __init__(self, path: Path, sizes: ModelConfig, config: TrainConfig) -> None:
        self.path = path
        self.checkpoint = path / "checkpoint"
        keep_settings(path, asdict(sizes) | asdict(config))

    def check_words(self, words: Sequence[str]) -> None:
        """Keep the vocabulary. Raises ConfigError where the run began with another one, as saved rows depend on it."""
        file, content = self.path / "vocabulary.txt", "\n".join(words).encode()
        if not file.exists():
            write_whole(file, content)
        elif file.read_bytes() != content:
            raise ConfigError(f"{self.path} holds a run that began with other texts or another tokenizer")

    def log(self, stage: str, step: int, **figures: float) -> None:
        """Add a line to the log."""
        line = {"stage": stage, "step": step} | {name: round(value, 5) for name, value in figures.items()}
        with (self.path / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def save_tensors(self, name: str, tensors: dict[str, Tensor]) -> None:
        """Write `name`.safetensors, whole or not at all."""
        write_whole(self.path / f"{name}.safetensors", save(tensors))

    def load_tensors(self, name: str) -> dict[str, Tensor] | None:
        """Read `name`.safetensors; None where the run did not come that far."""
        file = self.path / f"{name}.safetensors"
        return load_file(file) if file.exists() else None

    def save_step(self, stage: str, step: int, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Save all that the steps of the stage after `step` depend on."""
        tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
        for number, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": tensor for name, tensor in state.items()}
        self.save_tensors(stage, tensors | {"step": torch.tensor(step)})

    def load_step(self, stage: str, network: nn.Module, optimizer: torch.optim.Optimizer) -> int:
        """Restore what `save_step` saved, and return its step; 0 where nothing was saved."""
        tensors = self.load_tensors(stage)
        if tensors is None:
            return 0
        states: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                _, number, key = name.split(".")
                states.setdefault(int(number), {})[key] = tensor
        names = network.state_dict()
        network.load_state_dict({name: tensors[f"network.{name}"] for name in names})
        optimizer.load_state_dict(optimizer.state_dict() | {"state": states})
        return int(tensors["step"])
