"""The results of the benchmark: speeds and figures, some of which have a bar to meet."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Bar:
    """A limit for a figure."""

    limit: float
    is_least: bool = True  # a lower limit; otherwise an upper one

    def is_met(self, value: float) -> bool:
        """Whether `value` is within the limit."""
        return value >= self.limit if self.is_least else value <= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRow:
    """One figure. `unit`: "x" for a ratio, "%" for a fraction that is shown in percent, otherwise the unit itself."""

    name: str
    value: float
    unit: str
    hidden_size: int | None = None  # None for the packaged network
    bar: Bar | None = None
    note: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether the value meets the bar; None without a bar."""
        return self.bar.is_met(self.value) if self.bar else None

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return asdict(self) | {"is_met": self.is_met}


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchSpeed:
    """The speed of one contestant in its fastest round, and its errors."""

    name: str
    title: str
    hidden_size: int
    texts_per_s: float
    tokens_per_s: float
    gflops: float  # of the recurrent product alone, whatever else the contestant computes
    max_difference: float | None  # of its hidden states from the exact ones; None if it has none
    mean_difference: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineBench:
    """All results of a run."""

    machine: dict[str, Any]
    settings: dict[str, Any]
    speeds: list[BenchSpeed]
    rows: list[BenchRow]
    series: dict[str, Any] = field(default_factory=dict)  # points of the plots

    def speed(self, hidden_size: int, name: str) -> BenchSpeed:
        """The speed of a contestant, by its name, with a number of cells. Raises ValueError if there is none."""
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
