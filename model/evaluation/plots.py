"""Plots of training runs, baselines, and accuracy against speed. matplotlib is imported when something is drawn.

SVG files embed no fonts: text stays text. The same figures give the same file, so a diff shows what changed.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from model.errors import ConfigError, ModelError

PANEL_WIDTH, PANEL_HEIGHT = 3.4, 2.6  # inches
PANELS_PER_LINE = 3
SPEED_PANELS_PER_LINE = 2  # of the frontier
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "sentiment",
    "font.size": 8,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
}

Line = Mapping[str, Any]
Curve = Sequence[tuple[int, float, float]]  # step, loss, accuracy


class Speed(NamedTuple):
    """One network in a plot of accuracy against speed."""

    name: str
    texts_per_s: float  # on one core
    figure: float  # accuracy or macro recall, 0..1


def check_plot_file(file: Path) -> None:
    """Check that `file` can be drawn to, before anything is measured.

    Raises ConfigError for another suffix than .svg and .png and for a missing directory, and ModelError if matplotlib
    is not installed.
    """
    if file.suffix.lower() not in (".svg", ".png"):
        raise ConfigError(f"{file}: the name of a plot should end in .svg or .png")
    if not file.parent.is_dir():
        raise ConfigError(f"{file.parent}: there is no such directory to draw to")
    _matplotlib("figure")


def draw_run(run_dir: Path) -> Path:
    """Draw the `log.jsonl` of a training run to `curve.svg` beside it: each stage's loss above, its scores below.

    Raises ModelError for a log that cannot be read or has no losses, and if matplotlib is not installed.
    """
    stages = _read_log(run_dir / "log.jsonl")
    with figure_to(run_dir / "curve.svg", num_columns=len(stages), num_lines=2) as figure:
        panels = figure.subplots(2, len(stages), squeeze=False)
        for column, (stage, lines) in enumerate(stages.items()):
            top, below = panels[0, column], panels[1, column]
            top.set(title=stage, ylabel="loss")
            top.plot([line["step"] for line in lines], [line["loss"] for line in lines], color="black")
            for name in sorted({name for line in lines for name in line} - {"stage", "step", "loss"}):
                there = [line for line in lines if name in line]
                below.plot([line["step"] for line in there], [line[name] for line in there], label=name)
            if below.lines:
                below.legend()
                below.set(xlabel="step")
            else:
                below.set_axis_off()
                top.set(xlabel="step")
    return run_dir / "curve.svg"


def draw_curves(curves: Mapping[str, Curve], file: Path) -> None:
    """Draw training curves (name -> points), one panel each: accuracy on the left axis, loss dotted on the right one.

    Raises ModelError if matplotlib is not installed.
    """
    num_lines = -(-len(curves) // PANELS_PER_LINE)
    with figure_to(file, num_columns=min(len(curves), PANELS_PER_LINE), num_lines=num_lines) as figure:
        for number, (name, points) in enumerate(curves.items(), start=1):
            panel = figure.add_subplot(num_lines, min(len(curves), PANELS_PER_LINE), number)
            steps, losses, accuracies = zip(*points, strict=True)
            panel.plot(steps, accuracies)
            panel.set(title=name, xlabel="step", ylabel="accuracy", ylim=(0, 1.02))
            right = panel.twinx()
            right.plot(steps, losses, color="gray", linestyle=":")
            right.set(ylabel="loss", ylim=(0, 1.02 * max(losses)))
            right.grid(visible=False)


def draw_frontier(panels: Mapping[str, Sequence[Speed]], file: Path) -> None:
    """Draw accuracy against texts per second on one core, one panel (title -> networks) for each kind of data.

    A dotted line joins the networks on the Pareto frontier. Raises ModelError if matplotlib is not installed.
    """
    num_lines = -(-len(panels) // SPEED_PANELS_PER_LINE)
    with figure_to(file, num_columns=SPEED_PANELS_PER_LINE, num_lines=num_lines) as figure:
        for number, (title, networks) in enumerate(panels.items(), start=1):
            panel = figure.add_subplot(num_lines, SPEED_PANELS_PER_LINE, number)
            panel.set(title=title, xlabel="tweets/s on one core")
            panel.margins(x=0.4, y=0.25)
            panel.locator_params(axis="x", nbins=5)
            panel.xaxis.set_major_formatter("{x:,.0f}")
            best = frontier(networks)
            panel.plot([each.texts_per_s for each in best], [each.figure for each in best], color="gray", linestyle=":")
            for each in networks:
                panel.plot(each.texts_per_s, each.figure, marker="o", color="tab:blue")
                panel.annotate(
                    f"{each.name}: {each.figure:.3f}",
                    (each.texts_per_s, each.figure),
                    xytext=(4, 4),
                    textcoords="offset points",
                    fontsize=7,
                )


def frontier(networks: Sequence[Speed]) -> list[Speed]:
    """The Pareto frontier: the networks that no other one beats in both speed and figure, the fastest first."""
    best: list[Speed] = []
    for each in sorted(networks, key=lambda network: (-network.texts_per_s, -network.figure)):
        if not best or each.figure > best[-1].figure:
            best.append(each)
    return best


def _read_log(file: Path) -> dict[str, list[Line]]:
    """Stage -> its lines with a loss, by step; if a resumed run logged a step twice, the later line counts."""
    stages: dict[str, dict[int, Line]] = defaultdict(dict)
    try:
        for text in file.read_text().splitlines():
            line = json.loads(text)
            if "loss" in line:
                stages[line["stage"]][line["step"]] = line
    except OSError as error:
        raise ModelError(f"{file}: cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{file}: not the log of a training run: {error!r}") from error
    if not stages:
        raise ModelError(f"{file}: no losses in it yet")
    return {stage: [lines[step] for step in sorted(lines)] for stage, lines in stages.items()}


@contextmanager
def figure_to(
    file: Path, *, num_columns: int, num_lines: int, panel_size: tuple[float, float] = (PANEL_WIDTH, PANEL_HEIGHT)
) -> Iterator[Any]:
    """A figure to draw on, written to `file` at the end of the block.

    panel_size: width and height of a panel, in inches. Raises ModelError if matplotlib is not installed.
    """
    style = _matplotlib("style")
    size = (panel_size[0] * num_columns, panel_size[1] * num_lines)
    with style.context(["default", _STYLE]):
        figure = _matplotlib("figure").Figure(figsize=size, layout="constrained")
        yield figure
        metadata = {"Date": None} if file.suffix.lower() == ".svg" else None
        figure.savefig(file, metadata=metadata, dpi=150)


def _matplotlib(module: str) -> Any:
    try:
        return import_module(f"matplotlib.{module}")
    except ModuleNotFoundError as error:
        raise ModelError(f"plots are drawn with matplotlib ({error}): pip install '.[train]'") from error
