"""The folder of one training run, from which a killed run goes on.

config.json          sizes and knobs; a folder is only ever continued with the same ones
log.jsonl            a line per saved point
STAGE.safetensors    of language, text: the network, Adam's moments and the number of steps done
rehearsal.json       what the network scored that this run began with, where it is to learn from all films
checkpoint/          the finished checkpoint, with its metrics and card
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from model.checkpoint import METRICS
from model.config import LATE_KNOBS, ModelConfig, TrainConfig
from model.errors import ConfigError
from model.folder import differences, keep_settings, read_settings, write_whole

SHARED = ("vocabulary.txt", "language.safetensors", "teacher-*.safetensors", "opinions-*.safetensors")
"""Files of all that comes before the text network."""
REHEARSAL = "rehearsal.json"


class RunFolder:
    """A run's files. Raises ConfigError where the folder belongs to a run with other settings."""

    def __init__(self, path: Path, sizes: ModelConfig, config: TrainConfig, begin: Path | None = None) -> None:
        """`begin`: another run, of which all is taken over that it made before its text network, unless it is here.

        Raises ConfigError where that is no run, or one whose knobs before that stage are others.
        """
        self.path = path
        self.checkpoint = path / "checkpoint"
        settings = asdict(sizes) | asdict(config)
        if begin:
            _check_beginning(begin, settings)
        keep_settings(path, settings)
        if begin:
            self._take_over(begin)

    def _take_over(self, other: Path) -> None:
        files = [file for pattern in SHARED for file in sorted(other.glob(pattern))]
        for file, name in [(file, file.name) for file in files] + [(other / "checkpoint" / METRICS, REHEARSAL)]:
            if file.exists() and not (self.path / name).exists():
                write_whole(self.path / name, file.read_bytes())

    def rehearsal(self) -> dict[str, Any] | None:
        """The metrics of the run that this one began with; None where it began with none that was finished."""
        file = self.path / REHEARSAL
        return json.loads(file.read_bytes()) if file.exists() else None

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


def _check_beginning(begin: Path, settings: Mapping[str, object]) -> None:
    sizes, config = read_settings(begin)
    differing = differences(asdict(sizes) | asdict(config), settings)
    if told := "; ".join(text for name, text in differing.items() if name not in LATE_KNOBS):
        raise ConfigError(f"a run cannot begin with what {begin} made with other settings: {told}")
