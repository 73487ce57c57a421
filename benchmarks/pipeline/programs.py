"""The programs that are measured, and how they are run as processes."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.system.worker_process import ENV, PROGRAM, ROOT, WorkerProcess
from tests.workplace import Workplace
from worker.settings import ENV_PREFIX


@dataclass(frozen=True)
class Program:
    """A program that runs in a process of its own.

    root: the checkout whose packages it imports. python: its interpreter. needs: a package that may be missing.
    """

    name: str
    guarantee: str
    arguments: Callable[[int], tuple[str, ...]]  # number of records -> arguments of Python
    settings: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)  # beside that of the settings
    is_ours: bool = True
    needs: str | None = None
    root: Path = ROOT
    python: Path = Path(sys.executable)

    def missing(self) -> str | None:
        """The reason why it cannot run here, or None."""
        if self.needs is None or importlib.util.find_spec(self.needs):
            return None
        return f"the package {self.needs} is not installed"


def _ours(_: int) -> tuple[str, ...]:
    return (*PROGRAM, "--until-end")


def _peer(module: str) -> Callable[[int], tuple[str, ...]]:
    return lambda num_records: ("-m", f"benchmarks.pipeline.peers.{module}", str(num_records))


OURS = Program("ours", "exactly once; states go to Redis twice a second", _ours)
STOCK_FAUST = Program(
    "stock Faust", "at least once; one record at a time, states by GET and SET", _peer("stock_faust"), is_ours=False
)
TORCH_BATCHES = Program(
    "aiokafka + torch",
    "at least once; batches of 256, states by MGET and MSET",
    _peer("torch_batches"),
    is_ours=False,
    needs="torch",
)
AT_LEAST_ONCE = Program(
    "ours, at_least_once", "at least once, without transactions", _ours, {"delivery": "at_least_once"}
)
FLUSH_ALWAYS = Program(
    "ours, flush_interval_s 0", "exactly once; states go to Redis after each commit", _ours, {"flush_interval_s": 0}
)

PROGRAMS = (OURS, STOCK_FAUST, TORCH_BATCHES, AT_LEAST_ONCE, FLUSH_ALWAYS)


def earlier(root: Path, python: Path | None) -> Program:
    """The worker of another checkout, run by another interpreter or by this one."""
    return replace(
        OURS, name="before", guarantee="the worker before, exactly once", root=root, python=python or OURS.python
    )


class ProgramProcess(WorkerProcess):
    """A process of a program, in the program's checkout.

    OpenBLAS chooses its kernels by the processor, not by a variable of whoever runs the benchmark.
    """

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        program: Program,
        workplace: Workplace,
        checkpoint: Path | None,
        work_dir: Path,
        arguments: tuple[str, ...] = PROGRAM,
        suffix: str = "",
    ) -> None:
        environment = {"PYTHONPATH": str(program.root)} | dict(program.environment) | workplace.environment()
        if checkpoint is not None:
            environment[ENV_PREFIX + "CHECKPOINT"] = str(checkpoint)
        name = f"{program.name.replace(' ', '-')}-{workplace.settings.group}{suffix}"
        super().__init__(name, work_dir, environment, arguments)
        self._program = program

    def command(self) -> list[str]:
        """Python run through `env`, which sets the environment and changes to the checkout."""
        program = self._program
        variables = [f"{name}={value}" for name, value in self._environment.items()]
        directory = ["-u", "OPENBLAS_CORETYPE", "-C", str(program.root)]
        return [ENV, *directory, *variables, str(program.python), *self._arguments]
