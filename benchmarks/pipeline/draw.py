"""A plot of latencies: the share of the events in each bucket, and the share that took longer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.pipeline.latency import BOUNDS_MS, Histogram
from model.evaluation.plots import figure_to

_COLOURS = {"ours": "tab:blue", "before": "tab:orange"}
PLOT = "latency.svg"


def draw_latencies(histograms: Mapping[str, Histogram], title: str, plots_dir: Path) -> None:
    """Draw `latency.svg` into a directory. Raises ModelError if matplotlib is not installed."""
    edges = (0.7, *BOUNDS_MS, 1.5 * BOUNDS_MS[-1])
    with figure_to(plots_dir / PLOT, num_columns=2, num_lines=1, panel_size=(4.2, 3.0)) as figure:
        shares, longer = figure.subplots(1, 2)
        for name, buckets in histograms.items():
            events = np.array([bucket["events"] for bucket in buckets])
            share = events / max(events.sum(), 1)
            shares.stairs(100 * share, edges, label=name, color=_COLOURS[name])
            longer.plot(BOUNDS_MS, 1 - np.cumsum(share)[:-1], drawstyle="steps-post", label=name, color=_COLOURS[name])
        shares.set(title=title, xlabel="record to event, ms", ylabel="% of the events", xscale="log")
        longer.set(title="longer than", xlabel="record to event, ms", ylabel="share", xscale="log", yscale="log")
        longer.set_ylim(1e-5, 1.2)
        shares.legend()
