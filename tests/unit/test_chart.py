"""What the Helm chart repeats of the project is current."""

import re
import shlex
import tomllib
from pathlib import Path

import yaml

from deploy.chart_schema import SCHEMA, filled
from tests.unit.docs.pages import commands_of

PROJECT = Path(__file__).parents[2]


def test_the_schema_knows_todays_settings():
    assert SCHEMA.read_text() == filled(), "python -m deploy.chart_schema writes them"


def test_the_chart_has_the_version_of_the_project():
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((SCHEMA.parent / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)


def test_the_image_that_the_pages_build_and_push_is_what_the_chart_of_the_pages_pulls():
    version = yaml.safe_load((SCHEMA.parent / "Chart.yaml").read_text())["appVersion"]
    ((_, install),) = commands_of("helm")
    image = f"{re.findall(r'image.repository=(.*?) ', install)[0]}:{version}"
    for _, line in commands_of("docker"):
        verb, *words = shlex.split(line)[1:]
        if verb == "build":
            file, *rest = words[1:]
            assert (PROJECT / file).exists()
            assert rest == ["-t", image, "."]
        elif verb == "push":
            assert words == [image]
        else:
            assert (verb, words) == ("compose", ["up"])
