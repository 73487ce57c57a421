"""All baselines side by side: what was published, what comes out here, and how their training went."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from model.baselines import BASELINES, run_baseline
from model.baselines.baseline import Baseline
from model.baselines.outcome import Outcome
from model.data.corpora import find_corpora
from model.errors import ConfigError
from model.evaluation.plots import check_plot_file, draw_curves
from model.files import write_whole

CURVES, TABLE = "curves.svg", "comparison.md"


class System(NamedTuple):
    """A row of the table."""

    baseline: Baseline[Any]
    outcome: Outcome

    @property
    def published(self) -> str:
        """The published figure, "-" where there is none."""
        return "-" if self.baseline.published is None else _figure(self.baseline.published)

    @property
    def ours(self) -> str:
        """The same figure as it came out here."""
        return _figure(self.outcome.figures[self.baseline.metric])

    @property
    def note(self) -> str:
        """Where the system or its figure is from, and what must be known of ours."""
        return "; ".join(filter(None, (self.baseline.source, *self.outcome.notes)))

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        names = ("name", "description", "metric", "published", "source")
        return {name: getattr(self.baseline, name) for name in names} | {"outcome": self.outcome.to_dict()}


def compare_baselines(
    data: Path | None,
    run: Path,
    *,
    quick: bool = False,
    on_progress: Callable[[str, float, str], None] = lambda name, share, line: None,
) -> list[System]:
    """Train every baseline, each in the folder `run`/NAME, and write the table and the curves into `run`.

    What is finished there is not trained again. quick: each one small, in seconds, and on generated texts where there
    is no data folder. `on_progress` is told the name, the share that is done, 0..1, and what goes on.
    Raises ConfigError, DataError and ModelError, before anything is trained where files or packages are missing.
    """
    chosen = {name: baseline.config_with({}, quick=quick) for name, baseline in BASELINES.items()}
    corpora = dict.fromkeys(corpus for config in chosen.values() for corpus in config.corpora())
    if data is not None:
        find_corpora(data, corpora)
    elif not quick:
        raise ConfigError(f"the presets are trained on {', '.join(corpora)}: a data folder is needed")
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{run}: cannot be written to: {error.strerror}") from error
    check_plot_file(run / CURVES)
    systems = [
        System(BASELINES[name], run_baseline(BASELINES[name], config, data, run / name, partial(on_progress, name)))
        for name, config in chosen.items()
    ]
    draw_curves(
        {system.baseline.name: system.outcome.curve for system in systems if system.outcome.curve}, run / CURVES
    )
    write_whole(run / TABLE, _markdown(systems, "sentiment compare" + " --quick" * quick).encode())
    return systems


def _markdown(systems: Sequence[System], command: str) -> str:
    lines = ["# Systems of the literature, trained here", "", f"Made by `{command}`.", ""]
    lines += ["| system | figure | published | here | seconds | parameters |", "|---|---|---|---|---|---|"]
    for system in systems:
        baseline, outcome = system
        figures = f"{baseline.metric} | {system.published} | {system.ours} | {outcome.seconds:,.0f}"
        lines.append(f"| `{baseline.name}`: {baseline.description} | {figures} | {outcome.num_parameters:,} |")
    lines += ["", f"![accuracy and, dotted, loss of each system over its steps]({CURVES})", ""]
    lines += [f"- `{system.baseline.name}`: {system.note}" for system in systems]
    return "\n".join(lines) + "\n"


def _figure(value: float) -> str:
    """A share in percent; a perplexity, which is above 1, as it is."""
    return f"{value:.2%}" if value <= 1 else f"{value:,.1f}"
