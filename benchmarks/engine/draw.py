"""The plots of the benchmark: a roofline of the recurrent products, and rates over batches and processes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engine.figures import EngineBench
from benchmarks.engine.measurements.series import points_by_title
from model.evaluation.plots import figure_to

_ROOFS = {"memory": "tab:red", "cache": "tab:orange"}
_OURS = "tab:blue"
_COLOURS = ("tab:green", "tab:purple", "tab:brown", "tab:pink", "tab:olive")


def draw_all(bench: EngineBench, plots_dir: Path) -> None:
    """Draw `roofline.svg` and `scaling.svg` into a directory."""
    sizes = sorted({point["hidden_size"] for point in bench.series["batches"]})
    with figure_to(plots_dir / "roofline.svg", num_columns=len(sizes), num_lines=1, panel_size=(4.2, 3.6)) as figure:
        for number, hidden_size in enumerate(sizes, start=1):
            _draw_roofline(figure.add_subplot(1, len(sizes), number), bench, hidden_size)
    with figure_to(plots_dir / "scaling.svg", num_columns=len(sizes) + 1, num_lines=1, panel_size=(4.2, 3.6)) as figure:
        for number, hidden_size in enumerate(sizes, start=1):
            _draw_batches(figure.add_subplot(1, len(sizes) + 1, number), bench, hidden_size)
        _draw_processes(figure.add_subplot(1, len(sizes) + 1, len(sizes) + 1), bench)


def _draw_roofline(panel: Any, bench: EngineBench, hidden_size: int) -> None:
    """GF/s over flops per byte, both logarithmic. The roof is that of float32; int8 points may lie above it."""
    panel.set(title=f"{hidden_size} cells", xlabel="flops a byte of the recurrent product", ylabel="GF/s, one thread")
    panel.set_xscale("log")
    panel.set_yscale("log")
    peak, reach = bench.machine["matrix_gflops"], np.geomspace(0.2, 200, 100)
    panel.axhline(peak, color="black", linewidth=0.8, linestyle="--")
    panel.annotate(f"large products: {peak:.0f} GF/s", (0.2, peak), xytext=(2, 3), textcoords="offset points")
    for place, bandwidth in bench.series["bandwidths_gb_s"].items():
        roof = np.minimum(bandwidth * reach, peak)
        panel.plot(reach, roof, color=_ROOFS[place], linewidth=0.8, label=f"copies in {place}, {bandwidth:.0f} GB/s")
    for title, style, points in _styled(bench, hidden_size):
        panel.plot([at["flops_per_byte"] for at in points], [at["gflops"] for at in points], label=title, **style)
    panel.legend(fontsize=6, loc="lower right")


def _draw_batches(panel: Any, bench: EngineBench, hidden_size: int) -> None:
    panel.set(title=f"{hidden_size} cells, one thread", xlabel="texts in a batch", ylabel="texts/s of 20 tokens")
    panel.set_xscale("log", base=2)
    ticks = sorted({point["batch"] for point in bench.series["batches"]})
    panel.set_xticks(ticks, map(str, ticks))
    for title, style, points in _styled(bench, hidden_size):
        panel.plot([at["batch"] for at in points], [at["texts_per_s"] for at in points], label=title, **style)
    panel.set_ylim(bottom=0)
    panel.legend(fontsize=6)


def _draw_processes(panel: Any, bench: EngineBench) -> None:
    rows = [row for row in bench.rows if row.name.startswith("two processes")]
    panel.set(title="processes", xlabel="processes", ylabel="times one process", xlim=(0.5, 2.5), ylim=(0, 2.2))
    panel.set_xticks((1, 2))
    panel.plot((1, 2), (1, 2), color="gray", linestyle=":", label="twice")
    for row, marker in zip(rows, "os", strict=False):
        panel.plot((1, 2), (1, row.value), marker=marker, label=f"{row.hidden_size} cells, by the clock")
    panel.legend(fontsize=6, loc="lower right")


def _styled(bench: EngineBench, hidden_size: int) -> list[tuple[str, dict[str, Any], list[Mapping[str, Any]]]]:
    """Title, style and points of each contestant: ours in one colour, the products dotted, peers in other colours."""
    found = []
    colours = iter(_COLOURS)
    for title, points in points_by_title(bench.series["batches"], hidden_size).items():
        name = points[0]["name"]
        if name.startswith("ours_"):
            style = {"color": _OURS, "marker": "o" if name == "ours_float32" else "s"}
        elif name == "products":
            style = {"color": "black", "linestyle": ":", "marker": "."}
        else:
            style = {"color": next(colours), "marker": "x"}
        found.append((title, {"linewidth": 1, "markersize": 4} | style, points))
    return found
