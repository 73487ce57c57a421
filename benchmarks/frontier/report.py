"""The table of the comparison, in Markdown, and its plot."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

from benchmarks.frontier.measure import Row
from model.evaluation.plots import figure_to

_OURS, _PEERS = "tab:blue", "tab:gray"
_MARKERS = "osD^vP*X<>"  # of the contestants in turn: names beside the points would cover each other
_LEGEND_COLUMNS = 3


def table(rows: Sequence[Row], dollars_an_hour: float) -> str:
    """A line for each contestant: accuracy on each set, speed, price, and whether it carries a stream's memory."""
    sets = list(dict.fromkeys(name for row in rows for name in row.accuracy))
    heading = ["", *sets, "texts/s on one core", "dollars a million texts", "carried memory"]
    lines = [heading, ["---"] * len(heading)]
    for row in rows:
        dollars = row.dollars_a_million(dollars_an_hour)
        if dollars is None:
            lines.append([row.name, *[""] * len(sets), row.note, "", ""])
            continue
        figures = [f"{row.accuracy[name]:.1%}" for name in sets]
        lines.append([row.name, *figures, f"{row.texts_per_s:,.0f}", f"{dollars:.3f}", "yes" if row.carries else "no"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def draw(rows: Sequence[Row], file: Path) -> None:
    """Draw accuracy against texts a second, a panel for each set. Raises ModelError if matplotlib is not installed."""
    measured = [row for row in rows if row.texts_per_s]
    sets = list(dict.fromkeys(name for row in measured for name in row.accuracy))
    with figure_to(file, num_columns=2, num_lines=-(-len(sets) // 2), panel_size=(5.0, 3.0)) as figure:
        for number, name in enumerate(sets, start=1):
            panel = figure.add_subplot(-(-len(sets) // 2), 2, number)
            panel.set(title=name, xlabel="texts/s on one core", ylabel="accuracy")
            panel.set_xscale("log")
            panel.margins(x=0.1, y=0.15)
            for row, marker in zip(measured, cycle(_MARKERS), strict=False):
                colour = _OURS if row.carries else _PEERS
                panel.plot(row.texts_per_s, row.accuracy[name], marker, color=colour, label=row.name)
        handles, names = panel.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=_LEGEND_COLUMNS, fontsize=8)
