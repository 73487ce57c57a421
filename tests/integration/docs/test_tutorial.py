"""The tutorial's commands, one after the other on real servers, write what the tutorial says they write."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.unit.docs.pages import blocks
from worker.stack import LocalStack

PAGE = Path(__file__).parents[3] / "docs" / "tutorial.md"
TIMEOUT_S = 300.0


class Step(NamedTuple):
    """A block of commands in shell or Python, and the block of output that follows it."""

    language: str
    commands: str
    output: str


def steps(page: str) -> list[Step]:
    return [
        Step(*found) for found in re.findall(r"^```(sh|python)\n(.*?)^```\n\n^```text\n(.*?)^```", page, re.M | re.S)
    ]


def masked(output: str) -> str:
    """The output without what differs from run to run, or from checkpoint to checkpoint: times, tokens, numbers."""
    output = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", output)
    output = re.sub(r'"words":\[.*?\]', "WORDS", output)
    output = re.sub(r"[+-]?\d+\.\d+|\(\d+\)|\b\d+ bytes", "N", output)
    return re.sub(r"\b[0-9a-f]{16,32}\b", "HEX", output)


class Reader:
    """Runs steps as the reader does, in one folder, with `sentiment` on the PATH."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self._folder = folder
        program = folder / "sentiment"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m worker.cli "$@"\n')
        program.chmod(0o755)
        self._variables = {**os.environ, **variables, "PATH": f"{folder}:{os.environ['PATH']}"}
        self._variables |= {"PYTHONWARNINGS": "ignore", "SENTIMENT_HEALTH_PORT": "0"}

    def run(self, step: Step) -> str:
        """What the step writes; a `tail` at its end is ended by Ctrl-C after as many lines as the page shows."""
        if step.language == "python":
            return self._output([sys.executable, "-c", step.commands])
        lines = [line for line in step.commands.splitlines() if not line.startswith("export ")]
        if not lines[-1].startswith("sentiment tail"):
            return self._output(["bash", "-ec", "\n".join(lines)])
        before = self._output(["bash", "-ec", "\n".join(lines[:-1])])
        return before + "".join(self._tail(lines[-1], step.output.count("\n") - before.count("\n")))

    def _output(self, command: list[str]) -> str:
        done = subprocess.run(
            command,
            cwd=self._folder,
            env=self._variables,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _tail(self, command: str, num_lines: int) -> Iterator[str]:
        with subprocess.Popen(
            ["bash", "-c", f"exec {command}"], cwd=self._folder, env=self._variables, stdout=subprocess.PIPE, text=True
        ) as tail:
            assert tail.stdout is not None
            try:
                for _ in range(num_lines):
                    yield tail.stdout.readline()
            finally:
                tail.send_signal(signal.SIGINT)


def test_the_stack_prints_what_the_tutorial_shows(stack: LocalStack) -> None:
    (block,) = [block for block in blocks("console") if block.page == "docs/tutorial.md"]
    command, *shown, ready = block.text.splitlines()
    assert (command, ready) == ("$ sentiment stack", "ready")
    assert [line.partition("=")[0] for line in shown] == list(stack.environment())


@pytest.mark.slow
def test_each_command_of_the_tutorial_writes_what_the_tutorial_says(tmp_path: Path) -> None:
    with LocalStack() as stack:
        reader = Reader(tmp_path, stack.environment())
        for step in steps(PAGE.read_text()):
            assert masked(reader.run(step)) == masked(step.output), step.commands
    mine = [block.language for block in blocks() if block.page == "docs/tutorial.md"]
    assert len(steps(PAGE.read_text())) == mine.count("text") == mine.count("sh") + mine.count("python")
