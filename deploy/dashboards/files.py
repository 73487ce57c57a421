"""The dashboards as the files that Grafana's provider reads."""

from __future__ import annotations

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.dashboards import kafka, model, objectives, overview, ownership

FOLDER = Path(__file__).parents[1] / "grafana" / "dashboards"


def contents() -> dict[str, str]:
    """The content of each file, by its name."""
    modules = overview, ownership, model, kafka, objectives
    made = [module.dashboard() for module in modules]
    return {
        f"{dashboard.uid}.json": json.dumps(dashboard, cls=JSONEncoder, indent=2, ensure_ascii=False) + "\n"
        for dashboard in made
    }
