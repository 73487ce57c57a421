"""The rows of the table: the programs that read the backlog, how they are run, and their results."""

from __future__ import annotations

import asyncio
import importlib.util
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.pipeline.backlog import Backlog
from benchmarks.pipeline.pace import CpuAccount, Events, Pace, pace, read_events
from benchmarks.pipeline.stages import read_metrics, stage_times_ms
from tests import kafka_tools
from tests.system.worker_process import PROGRAM, WorkerProcess
from tests.workplace import Workplace, new_workplace
from worker.settings import ENV_PREFIX
from worker.stack import LocalStack

SAMPLE_S = 0.1
SCRAPE_S = 0.5
MIN_TIMEOUT_S, MIN_RECORDS_PER_S = 180.0, 200.0


@dataclass(frozen=True)
class Program:
    """A program that runs in a process of its own."""

    name: str
    guarantee: str
    arguments: Callable[[int], tuple[str, ...]]  # number of records -> arguments of Python
    settings: Mapping[str, Any] = field(default_factory=dict)
    is_ours: bool = True
    needs: str | None = None  # a package that may be missing

    def missing(self) -> str | None:
        """The reason why it cannot run here, or None."""
        if self.needs is None or importlib.util.find_spec(self.needs):
            return None
        return f"the package {self.needs} is not installed"


def _ours(_: int) -> tuple[str, ...]:
    return (*PROGRAM, "--until-end")


def _peer(module: str) -> Callable[[int], tuple[str, ...]]:
    return lambda num_records: ("-m", f"benchmarks.pipeline.{module}", str(num_records))


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


@dataclass
class ProgramResult:
    """The result of one program; `skipped` is the reason why there is none."""

    program: Program
    num_records: int = 0
    events: Events = field(default_factory=Events)
    pace: Pace | None = None
    stages_ms: dict[str, tuple[float, float]] = field(default_factory=dict)
    skipped: str | None = None

    @property
    def is_complete(self) -> bool:
        """Whether each record has exactly one event."""
        return len(self.events.times_ms) == len(self.events.labels) == self.num_records


def run(
    stack: LocalStack, program: Program, backlog: Backlog, checkpoint: Path | None, work_dir: Path
) -> ProgramResult:
    """Let `program` read the whole backlog, with a group and output topics of its own.

    Raises AssertionError, with the end of its output, if it fails or takes too long.
    """
    if reason := program.missing():
        return ProgramResult(program, skipped=reason)
    workplace = new_workplace(stack, topics=(backlog.topic,), **program.settings)
    outputs = [topic for topic in workplace.all_topics if topic != backlog.topic]
    kafka_tools.create_topics(stack.kafka, dict.fromkeys(outputs, workplace.settings.partitions))
    process = _process(program, workplace, backlog, checkpoint, work_dir)
    launched_s = time.time()
    process.launch()
    cpu = CpuAccount(process.pid)
    try:
        metrics = _watch(process, cpu, MIN_TIMEOUT_S + backlog.num_records / MIN_RECORDS_PER_S, program.is_ours)
    finally:
        process.kill()
    assert process.exit_code == 0, f"{program.name} ended with {process.exit_code}\n{process.tail()}"
    events = asyncio.run(read_events(stack.kafka, workplace.settings.events_topic, workplace.settings.partitions))
    kafka_tools.delete_topics(stack.kafka, outputs)
    return ProgramResult(
        program,
        num_records=backlog.num_records,
        events=events,
        pace=pace(events, launched_s, cpu),
        stages_ms=stage_times_ms(metrics) if metrics else {},
    )


def _process(
    program: Program, workplace: Workplace, backlog: Backlog, checkpoint: Path | None, work_dir: Path
) -> WorkerProcess:
    environment = workplace.environment()
    if checkpoint is not None:
        environment[ENV_PREFIX + "CHECKPOINT"] = str(checkpoint)
    name = f"{program.name.replace(' ', '-')}-{workplace.settings.group}"
    return WorkerProcess(name, work_dir, environment, program.arguments(backlog.num_records))


def _watch(process: WorkerProcess, cpu: CpuAccount, timeout_s: float, has_metrics: bool) -> str | None:
    """Sample the process until it ends; returns the last text of its /metrics, if any."""
    deadline = time.monotonic() + timeout_s
    scrape_at, metrics = 0.0, None
    while process.running:
        assert time.monotonic() < deadline, f"{process.name} still runs after {timeout_s:g} s\n{process.tail()}"
        cpu.sample()
        if has_metrics and time.monotonic() >= scrape_at:
            metrics = read_metrics(process.address) or metrics
            scrape_at = time.monotonic() + SCRAPE_S
        time.sleep(SAMPLE_S)
    return metrics
