"""All baselines side by side: published figures, figures of this code, and training curves."""

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
    """A row of the table: a baseline and the outcome of its run."""

    baseline: Baseline[Any]
    outcome: Outcome

    @property
    def published(self) -> str:
        """The published figure, or "-"."""
        return "-" if self.baseline.published is None else _figure(self.baseline.published)

    @property
    def ours(self) -> str:
        """The same figure, measured with this code."""
        return _figure(self.outcome.figures[self.baseline.metric])

    @property
    def note(self) -> str:
        """The source of the system or its figure, and the caveats on ours."""
        return "; ".join(filter(None, (self.baseline.source, *self.outcome.notes)))

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        names = ("name", "description", "metric", "published", "source")
        return {name: getattr(self.baseline, name) for name in names} | {"outcome": self.outcome.to_dict()}


def compare_baselines(
    data_dir: Path | None,
    run_dir: Path,
    *,
    quick: bool = False,
    on_progress: Callable[[str, float, str], None] = lambda name, share, line: None,
) -> list[System]:
    """Train every baseline, each in `run_dir`/NAME, and write the table and the curves into `run_dir`.

    Finished runs there are not repeated. quick: small runs of seconds, on generated phrases if `data_dir` is None.
    `on_progress` is called with the name of the baseline, the share of its run that is done, 0..1, and a line on the
    current step.

    Raises ConfigError if `data_dir` is missing or `run_dir` cannot be used, DataError for missing or unreadable data,
    and ModelError for a missing package. Missing files and packages are found before anything is trained.
    """
    chosen = {name: baseline.config_with({}, quick=quick) for name, baseline in BASELINES.items()}
    corpora = dict.fromkeys(corpus for config in chosen.values() for corpus in config.corpora())
    if data_dir is not None:
        find_corpora(data_dir, corpora)
    elif not quick:
        raise ConfigError(f"the baselines are trained on {', '.join(corpora)}: a data directory is needed")
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{run_dir}: cannot be written to: {error.strerror}") from error
    check_plot_file(run_dir / CURVES)
    systems = []
    for name, config in chosen.items():
        baseline = BASELINES[name]
        outcome = run_baseline(baseline, config, data_dir, run_dir / name, partial(on_progress, name))
        systems.append(System(baseline, outcome))
    curves = {system.baseline.name: system.outcome.curve for system in systems if system.outcome.curve}
    draw_curves(curves, run_dir / CURVES)
    write_whole(run_dir / TABLE, _markdown(systems, "sentiment compare" + " --quick" * quick).encode())
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
    """A share in percent, or a perplexity, which is above 1."""
    return f"{value:.2%}" if value <= 1 else f"{value:,.1f}"
