"""The outcome of a baseline's run: the content of its `outcome.json`, a row of the table, a curve of the plot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Self


class Point(NamedTuple):
    """One point of a training curve."""

    step: int  # number of optimizer steps so far
    loss: float  # mean over the steps since the previous point
    accuracy: float  # 0..1, over the same steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Figures, cost and training curve of a run."""

    figures: Mapping[str, float]  # by name, such as "test accuracy" (0..1) or "perplexity"
    num_parameters: int  # trained and frozen
    seconds: float  # processor time of the training, including that before an interruption
    curve: tuple[Point, ...] = ()
    notes: tuple[str, ...] = field(default=())  # caveats for a reader of the figures: data, substitutes, counts

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return asdict(self) | {"curve": [point._asdict() for point in self.curve]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The outcome that `to_dict` made `values` of. Raises KeyError or TypeError for anything else."""
        curve = tuple(Point(**point) for point in values["curve"])
        return cls(**{**values, "curve": curve, "notes": tuple(values["notes"])})
