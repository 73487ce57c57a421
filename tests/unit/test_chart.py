"""What the Helm chart repeats of the project is current."""

import tomllib
from pathlib import Path

import yaml

from deploy.chart_schema import SCHEMA, filled

PROJECT = Path(__file__).parents[2]


def test_the_schema_knows_todays_settings():
    assert SCHEMA.read_text() == filled(), "python -m deploy.chart_schema writes them"


def test_the_chart_has_the_version_of_the_project():
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((SCHEMA.parent / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)
