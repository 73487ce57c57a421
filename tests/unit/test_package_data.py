"""What is installed has every file that the code reads, and says that it is typed."""

import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATTERNS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]


def packaged(path: Path) -> bool:
    """Whether a pattern of one of its packages matches."""
    for package, patterns in PATTERNS.items():
        folder = Path(package.replace(".", "/"))
        if folder in path.parents and any(fnmatch(str(path.relative_to(folder)), pattern) for pattern in patterns):
            return True
    return False


def test_every_file_of_the_packages_that_is_not_python_is_installed():
    listed = subprocess.run(
        ["git", "ls-files", "worker", "model"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("this is no git checkout")
    others = [Path(line) for line in listed.stdout.splitlines() if not line.endswith(".py")]
    assert others
    assert [path for path in others if not packaged(path)] == []


@pytest.mark.parametrize("package", ["worker", "model"])
def test_a_package_says_that_it_is_typed(package):
    assert (ROOT / package / "py.typed").is_file()
    assert packaged(Path(package) / "py.typed")
