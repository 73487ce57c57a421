"""Charts: ECharts through NiceGUI, each with a label that says what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from nicegui import ui

from worker.page.live.streams import KeptStream

_MIDDLE: Final = "#8a9099"  # stands out from white and from black
_CURVE: Final = "#3f86e0"
_SHIFT: Final = "#d9822b"


def wide_chart(label: str, name: str, *, lowest: float = 0, highest: float | None = None) -> ui.echart:
    """A curve over time, empty, under `label`. The style of the page colours its texts."""
    options: dict[str, Any] = {
        "animation": False,
        "title": {"text": label, "textStyle": {"fontSize": 14, "fontWeight": "normal", "overflow": "break"}},
        "grid": {"left": 44, "right": 12, "top": 48, "bottom": 24},
        "xAxis": {"type": "category", "data": []},
        "yAxis": {"type": "value", "min": lowest, "max": highest},
        "series": [_series(name)],
    }
    options["yAxis"]["splitLine"] = {"lineStyle": {"color": _MIDDLE, "opacity": 0.3}}
    chart = ui.echart(options, renderer="svg").classes("chart")
    return chart.props(f'role=img aria-label="{label}"')


def update_series(chart: ui.echart, values: Sequence[float]) -> None:
    """Draw other values; the axis counts seconds back."""
    chart.options["xAxis"]["data"] = [f"-{len(values) - at} s" for at in range(len(values))]
    chart.options["series"][0]["data"] = list(values)
    chart.update()


def update_ribbon(chart: ui.echart, line: KeptStream) -> None:
    """Draw a stream's mood over time, with its shifts as vertical lines at the texts that revealed them."""
    times = [time[11:19] for time in line.times]
    places = dict(zip(line.times, range(len(times)), strict=True))
    marks = [
        {"xAxis": places[shift["source"]["time"]], "label": {"formatter": "shift"}}
        for shift in line.shifts
        if shift["source"]["time"] in places
    ]
    chart.options["xAxis"]["data"] = times
    series = chart.options["series"][0]
    series["data"] = [round(mood, 3) for mood in line.moods]
    series["markLine"] = {"symbol": "none", "silent": True, "data": marks, "lineStyle": {"color": _SHIFT, "width": 2}}
    chart.update()


def _series(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "line",
        "showSymbol": False,
        "data": [],
        "lineStyle": {"color": _CURVE},
        "itemStyle": {"color": _CURVE},
        "areaStyle": {"color": _CURVE, "opacity": 0.25, "origin": 0},
    }
