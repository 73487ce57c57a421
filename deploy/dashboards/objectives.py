"""Objectives: what share of their error budgets is used up, and how fast. The rules record the ratios."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.dashboards.panels import PanelBuilder, board, figure, lines

# As in deploy/prometheus/objectives.yml.
BUDGETS = {"latency": 0.01, "freshness": 0.005, "loss": 0.001}
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
_MEANING = {
    "latency": "events committed within a second of their record's timestamp",
    "freshness": "time in which nothing has waited for longer than a minute",
    "loss": "records that got an event and did not become dead letters",
}


def dashboard() -> Dashboard:
    """Objectives."""
    return board(
        "objectives",
        "Sentiment: objectives",
        "Latency, freshness and loss, over three days, and the burn rates behind the alerts. See docs/operate.md.",
        [
            *(_reached(name) for name in BUDGETS),
            *(_burn(name) for name in BUDGETS),
            *(_errors(name) for name in BUDGETS),
        ],
    )


def _ratio(name: str, window: str) -> str:
    return f"sentiment:{name}_errors:ratio_rate{window}"


def _reached(name: str) -> PanelBuilder:
    return figure(
        f"{name.capitalize()}: {1 - BUDGETS[name]:.4g} wanted",
        f"Share, over three days, of {_MEANING[name]}. Below: the runbooks of Sentiment{name.capitalize()}Burn... say "
        "where to look.",
        f"1 - {_ratio(name, '3d')}",
        "percentunit",
        below=1 - BUDGETS[name],
        width=8,
    )


def _burn(name: str) -> PanelBuilder:
    return lines(
        f"{name.capitalize()}: burn rate",
        "At 1 the budget lasts for 30 days. An alert fires where two windows agree: 1h and 5m above 14.4, 6h and 30m "
        "above 6, 1d and 2h above 3, 3d and 6h above 1.",
        {window: f"{_ratio(name, window)} / {BUDGETS[name]:g}" for window in WINDOWS},
    )


def _errors(name: str) -> PanelBuilder:
    return lines(
        f"{name.capitalize()}: error ratio",
        f"The opposite of: {_MEANING[name]}. Peaks at restarts and at peaks of the rate are worth a look.",
        {"5m": _ratio(name, "5m"), "1h": _ratio(name, "1h")},
        "percentunit",
    )
