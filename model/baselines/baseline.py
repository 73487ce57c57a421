"""A baseline: a named system of the literature, with its hyperparameters, its published figure and its training.

A baseline's module defines a frozen dataclass of hyperparameters derived from `BaselineConfig`, a function

    run(config, data_dir, run_dir, on_progress) -> Outcome

and `BASELINES`, a tuple of `Baseline` that `model/baselines/__init__.py` adds to the registry. In `run`

- `data_dir` is the data directory, or None: then the texts come from the grammar of `model/data/phrases.py`, and a
  note says so;
- `run_dir` exists, has a `config.json` with these hyperparameters, and takes the files of the run, from which an
  interrupted run resumes;
- `on_progress(share, line)` is called now and then with the share that is done, 0..1, and a line on the current step.
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
    """Hyperparameters that every baseline has; each baseline adds its own.

    The default shows the type: an integer of at least 1, a finite number above 0, a switch or a string.
    Raises ConfigError, which lists every value that is out of range.
    """

    seed: int = 1
    threads: int = 1
    clip: str = "none"  # how gradients are clipped: a key of model.clipping.KINDS
    clip_at: float = 1.0

    zero_allowed: ClassVar[frozenset[str]] = frozenset({"seed"})  # names of numbers; a subclass adds its own

    def __post_init__(self) -> None:
        problems = self.problems()
        if problems:
            raise ConfigError("; ".join(problems))

    def problems(self) -> list[str]:
        """A message for every value that is out of range; a subclass adds its own."""
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
        """The clipping of gradients before each step of the optimizer."""
        return Clipping(self.clip, self.clip_at)

    def corpora(self) -> tuple[str, ...]:
        """The corpora (keys of `model.data.corpora.FILES`) that the run reads from the data directory, if any."""
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
    metric: str  # the figure of the outcome that compares with the published one
    published: float | None  # in the unit of that figure; None if none was published
    source: str  # of the published figure, or of the system
    config: K  # as published
    quick: Mapping[str, ConfigValue]  # changes that shorten the run to seconds
    run: Callable[[K, Path | None, Path, OnProgress], Outcome]

    def config_with(self, changes: Mapping[str, ConfigValue], *, quick: bool = False) -> K:
        """The config, shortened if `quick`, with `changes` applied last.

        Raises ConfigError for an unknown hyperparameter or a value that is out of range.
        """
        unknown = sorted(changes.keys() - self.config.to_dict().keys())
        if unknown:
            known = ", ".join(self.config.to_dict())
            raise ConfigError(f"{self.name} has no hyperparameter {', '.join(map(repr, unknown))}; it has {known}")
        values: dict[str, Any] = {**(self.quick if quick else {}), **changes}
        return replace(self.config, **values)
