"""A plot of what grows: cost a record and memory over streams, and cost a record over workers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.pipeline.report import Report
from model.evaluation.plots import figure_to

PLOT = "growth.svg"
_HOT, _COLD = "tab:blue", "tab:orange"


def draw_growth(reports: Mapping[str, Report], plots_dir: Path) -> None:
    """Draw `growth.svg` into a directory. Raises ModelError if matplotlib is not installed."""
    panels = {"streams": (_draw_cost, _draw_memory), "takeover": (_draw_takeover,), "workers": (_draw_workers,)}
    chosen = [(draw, reports[name].rows) for name in reports if name in panels for draw in panels[name]]
    with figure_to(plots_dir / PLOT, num_columns=len(chosen), num_lines=1, panel_size=(3.0, 2.8)) as figure:
        for number, (draw, rows) in enumerate(chosen, start=1):
            draw(figure.add_subplot(1, len(chosen), number), rows)


def _draw_cost(panel: Any, rows: list[dict[str, Any]]) -> None:
    streams = [row["streams"] for row in rows]
    panel.plot(streams, [row["hot_us"] for row in rows], marker="o", color=_HOT, label="in memory")
    panel.plot(streams, [row["cold_us"] for row in rows], marker="o", color=_COLD, label="read from Redis")
    panel.set(title="cost", xlabel="streams", ylabel="CPU us a record", xscale="log", ylim=(0, None))
    panel.legend()


def _draw_memory(panel: Any, rows: list[dict[str, Any]]) -> None:
    streams = [row["streams"] for row in rows[1:]]  # the first row is too small to weigh
    panel.plot(streams, [row["worker_bytes"] for row in rows[1:]], marker="o", color=_HOT, label="worker")
    panel.plot(streams, [row["redis_bytes"] for row in rows[1:]], marker="o", color=_COLD, label="Redis")
    panel.set(title="memory", xlabel="streams", ylabel="bytes a stream", xscale="log", ylim=(0, None))
    panel.legend()


def _draw_takeover(panel: Any, rows: list[dict[str, Any]]) -> None:
    some = [row for row in rows if row["span"] == "assigned_to_all"]
    for row in some:
        panel.plot([row["streams"]] * len(row["spans_s"]), row["spans_s"], ".", color=_HOT)
    panel.set(title="assigned to all partitions", xlabel="streams", ylabel="s", xscale="log", ylim=(0, None))


def _draw_workers(panel: Any, rows: list[dict[str, Any]]) -> None:
    panel.plot([row["workers"] for row in rows], [row["cpu_us"] for row in rows], marker="o", color=_HOT)
    panel.set(title="cost", xlabel="workers", ylabel="CPU us a record", ylim=(0, None))
