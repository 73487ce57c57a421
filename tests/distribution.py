"""`make dist-test`: the wheel and the sdist, each installed in a clean environment, are run and checked for types.

The wheel is built from the sdist. The environment has the core dependencies alone: no torch, no extras, not this tree.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXTS = "I love this\nthis was a terrible flight\n"
# What a user of the installed package writes; mypy must find our types and refuse the wrong one.
GOOD = "from model import Result, load\n\nfound: list[Result] = load().score(['fine'])\nlabel: str = found[0].label\n"
BAD = "from worker.settings import Settings\n\nport: str = Settings().health_port\n"


def main() -> None:
    """Build, install, run. Raises AssertionError or CalledProcessError where something is missing."""
    with tempfile.TemporaryDirectory(prefix="sentiment-dist-") as folder:
        place = Path(folder)
        run([tool("uv"), "build", "--quiet", "--out-dir", str(place / "dist"), str(ROOT)])
        (wheel,), (sdist,) = ((sorted((place / "dist").glob(pattern))) for pattern in ("*.whl", "*.tar.gz"))
        venv.create(place / "env", with_pip=True)
        installed = Installed(place / "env" / "bin", place)
        installed.install("--constraint", str(ROOT / "constraints.txt"), str(wheel))
        installed.check()
        print(f"{wheel.name}: installed, run, types found")
        installed.install("--force-reinstall", "--no-deps", "--constraint", str(ROOT / "constraints.txt"), str(sdist))
        installed.check()
        print(f"{sdist.name}: installed, run, types found")


class Installed:
    """An environment with the package in it; `empty` is a folder from which it is run."""

    def __init__(self, programs: Path, empty: Path) -> None:
        self._programs = programs
        self._empty = empty

    def install(self, *arguments: str) -> None:
        """Install with pip."""
        self._run("python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments)

    def check(self) -> None:
        """The commands work, torch is not there, and a type checker sees the package's types."""
        where = self._run("python", "-c", "import worker, model; print(worker.__file__, model.__file__)")
        assert str(ROOT) + os.sep not in where, where
        assert "worker" in self._run("sentiment", "--help")
        lines = self._run("sentiment", "score", "-", given=TEXTS).splitlines()
        assert [json.loads(line)["label"] for line in lines] == ["positive", "negative"], lines
        assert "torch" not in self._run("python", "-m", "pip", "list")
        self._type_check("good.py", GOOD, fits=True)
        self._type_check("bad.py", BAD, fits=False)

    def _type_check(self, name: str, content: str, *, fits: bool) -> None:
        (self._empty / name).write_text(content)
        command = [tool("mypy"), "--strict", "--cache-dir", str(self._empty / "cache"), name]
        command += ["--python-executable", str(self._programs / "python")]
        done = subprocess.run(command, cwd=self._empty, env=clean(), capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == fits, done.stdout + done.stderr
        assert fits or "Incompatible types in assignment" in done.stdout, done.stdout

    def _run(self, program: str, *arguments: str, given: str = "") -> str:
        return run([str(self._programs / program), *arguments], cwd=self._empty, given=given)


def tool(name: str) -> str:
    """A program of the environment that this runs in."""
    return str(Path(sys.executable).parent / name)


def clean() -> dict[str, str]:
    """The environment variables, without those that lead Python to this tree."""
    return {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}


def run(command: Sequence[str], cwd: Path = ROOT, given: str = "") -> str:
    """The output of a command. Raises CalledProcessError when it fails."""
    done = subprocess.run(command, cwd=cwd, env=clean(), input=given, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


if __name__ == "__main__":
    main()
