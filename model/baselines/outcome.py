"""What a run of a baseline found, as plain data: `outcome.json` of its folder, a row of a table, a curve of a plot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Self


class Point(NamedTuple):
    """One point of a training curve."""

    step: int  # steps of the optimizer done, from 1
    loss: float  # mean over the steps since the point before
    accuracy: float  # 0..1, of the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What every baseline's run returns."""

    figures: Mapping[str, float]  # by name, as "test accuracy" (a share in 0..1) or "perplexity"
    num_parameters: int  # trained and frozen
    seconds: float  # of the processor in training; with those of earlier parts where the run was cut off and went on
    curve: tuple[Point, ...] = ()
    notes: tuple[str, ...] = field(default=())  # what a reader of the figures must know: data, stand-ins, counts

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return asdict(self) | {"curve": [point._asdict() for point in self.curve]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """From what `to_dict` made. Raises KeyError and TypeError where that is something else."""
        curve = tuple(Point(**point) for point in values["curve"])
        return cls(**{**values, "curve": curve, "notes": tuple(values["notes"])})
