"""The Helm chart, and the resources that helm renders of it."""

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parents[3]
CHART = PROJECT / "deploy" / "helm" / "sentiment"
EXAMPLES = ("values.yaml", *sorted(f"ci/{path.name}" for path in (CHART / "ci").iterdir()))
# The oldest version that the chart accepts and the newest whose schemas are at hand.
KUBERNETES = ("1.27.0", "1.37.0")
PODS = ("StatefulSet", "Deployment", "Job")


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("helm")
    assert program, "helm is not on the PATH: make deploy-test installs it"
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)


@cache
def render(example: str, *more: str, kubernetes: str = KUBERNETES[-1]) -> list[dict[str, Any]]:
    """The resources of an example; `more` are values as `--set` takes them. Raises AssertionError with the message."""
    sets = [argument for value in more for argument in ("--set", value)]
    options = ("--kube-version", kubernetes, "--namespace", "streams", "-f", str(CHART / example), *sets)
    done = helm("template", "mood", str(CHART), *options)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def of_kind(kind: str, example: str = "values.yaml", *more: str) -> list[dict[str, Any]]:
    return [document for document in render(example, *more) if document["kind"] == kind]


def containers(example: str) -> list[dict[str, Any]]:
    pods = [document["spec"]["template"]["spec"] for kind in PODS for document in of_kind(kind, example)]
    return [container for pod in pods for container in pod["containers"]]


def environment(container: dict[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container["env"] if "value" in variable}
