"""A baseline: a system of the literature by name, with its hyperparameters, its published figure and how it is run.

A baseline's module defines a frozen dataclass of its hyperparameters, below `BaselineConfig`, a function

    run(config, data, folder, on_progress) -> Outcome

and `BASELINES`, a tuple of `Baseline`, that `model/baselines/__init__.py` adds to the registry. In `run`

- `data` is the data folder, or None: then the texts come from the grammar of `model/data/phrases.py`, and a note
  says so;
- `folder` exists, holds `config.json` with these very hyperparameters, and takes what the run writes; a run that was
  cut off finds there what it wrote;
- `on_progress(share, line)` is told now and then how much is done, in 0..1, and what is going on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from model.baselines.outcome import Outcome
from model.clipping import KINDS as CLIPPINGS
from model.clipping import Clipping
from model.errors import ConfigError

ConfigValue = int | float | str | bool
OnProgress = Callable[[float, str], None]


@dataclass(frozen=True, kw_only=True)
class BaselineConfig:
    """Hyperparameters that every baseline has; each one adds its own.

    A hyperparameter is a whole number of at least 1, a finite number above 0, a switch or a word, as its default shows.
    Raises ConfigError with every value that is out of range.
    """

    seed: int = 1
    threads: int = 1
    clip: str = "none"  # of the gradients: a kind of model.clipping
    clip_at: float = 1.0

    zero_allowed: ClassVar[frozenset[str]] = frozenset({"seed"})  # of the numbers; a subclass adds to it

    def __post_init__(self) -> None:
        problems = self.problems()
        if problems:
            raise ConfigError("; ".join(problems))

    def problems(self) -> list[str]:
        """What is wrong with the values; a subclass adds what it knows."""
        problems = []
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, (bool, str)):
                continue
            zero_allowed = field.name in self.zero_allowed
            if not math.isfinite(value) or value < 0 or (value == 0 and not zero_allowed):
                problems.append(f"{field.name} must be {'at least' if zero_allowed else 'above'} 0")
        if self.clip not in CLIPPINGS:
            problems.append(f"clip must be one of {', '.join(CLIPPINGS)}")
        return problems

    @property
    def clipping(self) -> Clipping:
        """What is done to gradients before a step."""
        return Clipping(self.clip, self.clip_at)

    def corpora(self) -> tuple[str, ...]:
        """Names (keys of model.data.FILES) of what the run reads from a data folder; none: it needs no such folder."""
        return ()

    def to_dict(self) -> dict[str, ConfigValue]:
        """As plain data, for JSON."""
        return asdict(self)


K = TypeVar("K", bound=BaselineConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline(Generic[K]):
    """A system of the literature."""

    name: str
    description: str  # one line
    metric: str  # the figure of the outcome that is compared with the published one
    published: float | None  # in the unit of that figure; None: none was published
    source: str  # of the published figure, or of the system
    config: K  # as published
    quick: Mapping[str, ConfigValue]  # what makes of it a run of seconds
    run: Callable[[K, Path | None, Path, OnProgress], Outcome]

    def config_with(self, changes: Mapping[str, ConfigValue], *, quick: bool = False) -> K:
        """The config, the quick one if asked for, with changes on top. Raises ConfigError."""
        unknown = sorted(changes.keys() - self.config.to_dict().keys())
        if unknown:
            known = ", ".join(self.config.to_dict())
            raise ConfigError(f"{self.name} has no hyperparameter {', '.join(map(repr, unknown))}; it has {known}")
        values: dict[str, Any] = {**(self.quick if quick else {}), **changes}
        return replace(self.config, **values)
