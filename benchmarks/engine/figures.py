"""What the bench found: figures, and for those that have one the bar that they are held against."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Bar:
    """A limit for a figure."""

    limit: float
    is_least: bool = True  # else the figure must not be above it

    def is_met(self, value: float) -> bool:
        """Whether `value` is on the right side."""
        return value >= self.limit if self.is_least else value <= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRow:
    """One figure. `unit`: "x" for a ratio, "%" for a share that is given as a fraction, else as printed."""

    name: str
    value: float
    unit: str
    hidden_size: int | None = None  # None: of the packaged network
    bar: Bar | None = None
    note: str = ""  # what else there is to know of this figure

    @property
    def is_met(self) -> bool | None:
        """Whether the bar is met; None without one."""
        return self.bar.is_met(self.value) if self.bar else None

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return asdict(self) | {"is_met": self.is_met}


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchSpeed:
    """What one contestant did in its fastest round."""

    name: str
    title: str
    hidden_size: int
    texts_per_s: float
    tokens_per_s: float
    gflops: float  # of the recurrent product alone, whatever else it did
    max_difference: float | None  # of its hidden states from the exact ones; None where it has none
    mean_difference: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineBench:
    """All of a run."""

    machine: dict[str, Any]
    settings: dict[str, Any]
    speeds: list[BenchSpeed]
    rows: list[BenchRow]
    series: dict[str, Any] = field(default_factory=dict)  # what the plots are drawn from

    def speed(self, hidden_size: int, name: str) -> BenchSpeed:
        """Of one contestant."""
        [found] = [speed for speed in self.speeds if (speed.hidden_size, speed.name) == (hidden_size, name)]
        return found

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {
            "machine": self.machine,
            "settings": self.settings,
            "speeds": [asdict(speed) for speed in self.speeds],
            "rows": [row.to_dict() for row in self.rows],
            "series": self.series,
        }
