"""Panels as this project draws them: one data source, sizes of a grid 24 wide, and a description of what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from grafana_foundation_sdk.builders import common, dashboard, heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

PanelBuilder = Builder[models.Panel]
SOURCE = models.DataSourceRef("prometheus", "prometheus")
INTERVAL = "$__rate_interval"
_TAG = "sentiment"
_LETTERS = "ABCDEFGHIJ"


def rate(metric: str, by: str = "") -> str:
    """The rate of a counter, summed over workers, for each value of the label `by`."""
    return f"sum{_grouping(by)}(rate({metric}[{INTERVAL}]))"


def increase(metric: str, by: str = "") -> str:
    """By how much a counter grew within the interval, summed over workers."""
    return f"sum{_grouping(by)}(increase({metric}[{INTERVAL}]))"


def mean(histogram: str, by: str = "", interval: str = INTERVAL) -> str:
    """The mean of what a histogram counts."""
    total, count = (f"sum{_grouping(by)}(rate({histogram}_{end}[{interval}]))" for end in ("sum", "count"))
    return f"{total} / {count}"


def quantile(share: float, histogram: str) -> str:
    """A quantile of what a histogram counts."""
    return f"histogram_quantile({share:g}, sum by (le) (rate({histogram}_bucket[{INTERVAL}])))"


def figure(  # noqa: PLR0913
    title: str,
    description: str,
    expression: str,
    unit: str = "short",
    *,
    above: float | None = None,
    below: float | None = None,
    width: int = 4,
) -> PanelBuilder:
    """One number, which is orange from `above` on, or below `below`."""
    bound = below if above is None else above
    colours = ("text", "text") if bound is None else ("green", "orange") if below is None else ("orange", "green")
    steps = [models.Threshold(None, colours[0]), models.Threshold(bound, colours[1])][: 1 if bound is None else 2]
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .height(4)
        .span(width)
        .unit(unit)
        .thresholds(dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
        .color_mode(options.BigValueColorMode.VALUE)
        .graph_mode(options.BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(_query("A", expression, title))
    )


def lines(  # noqa: PLR0913
    title: str,
    description: str,
    queries: Mapping[str, str],
    unit: str = "short",
    *,
    stacked: bool = False,
    width: int = 8,
    least: float | None = 0,
    exemplars: bool = False,
) -> PanelBuilder:
    """Lines over time: `queries` maps a legend, which may name labels as in `{{topic}}`, to its expression.

    exemplars: whether to show traces of values that the first query counts.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .height(8)
        .span(width)
        .unit(unit)
        .fill_opacity(20 if stacked else 0)
        .show_points(options.VisibilityMode.NEVER)
    )
    if least is not None:
        panel.min(least)
    if stacked:
        panel.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL))
    for letter, (legend, expression) in zip(_LETTERS, queries.items(), strict=False):
        query = _query(letter, expression, legend)
        panel.with_target(query.exemplar(True) if exemplars and letter == _LETTERS[0] else query)
    return panel


def buckets(title: str, description: str, histogram: str, unit: str = "short", width: int = 8) -> PanelBuilder:
    """A histogram over time, as colours."""
    target = _query("A", increase(f"{histogram}_bucket", "le"), "{{le}}").format(PromQueryFormat.HEATMAP)
    return (
        heatmap.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .height(8)
        .span(width)
        .y_axis(heatmap.YAxisConfig().unit(unit))
        .with_target(target)
    )


def board(name: str, title: str, description: str, panels: Iterable[PanelBuilder]) -> models.Dashboard:
    """A dashboard whose panels stand in rows, in their order; it links to the others."""
    links = dashboard.DashboardLink("Sentiment").type(models.DashboardLinkType.DASHBOARDS).tags([_TAG])
    made = (
        dashboard.Dashboard(title)
        .uid(f"sentiment-{name}")
        .description(description)
        .tags([_TAG])
        .readonly()
        .refresh("5s")
        .time("now-15m", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(links.keep_time(True))
    )
    for panel in panels:
        made.with_panel(panel)
    built = made.build()
    for number, each in enumerate(built.panels or [], start=1):
        assert isinstance(each, models.Panel), "there are no rows"
        each.id_val = number
    return built


def _query(letter: str, expression: str, legend: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().ref_id(letter).expr(expression).legend_format(legend).range()


def _grouping(label: str) -> str:
    return f" by ({label}) " if label else ""
