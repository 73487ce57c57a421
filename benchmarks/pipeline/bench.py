"""What every measurement gets: the servers, the programs, and how much to measure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.pipeline.programs import OURS, Program, ProgramProcess
from tests.workplace import Workplace, new_workplace
from worker.stack import LocalStack


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """How much is measured."""

    records: int = 100_000  # of a backlog
    rounds: int = 1  # of the backlog's programs
    flat_records: int = 1_000_000
    faust_records: int = 5000
    streams: int = 5000
    rate: float = 300.0  # records/s
    seconds: float = 60.0  # of a paced run
    partitions: int = 8
    partition_counts: tuple[int, ...] = (2, 8, 32, 128)
    idle_s: float = 30.0
    kills: int = 10
    restarts: int = 5  # of each worker, in each way


@dataclass(frozen=True)
class Bench:
    """The servers, and the programs on them.

    checkpoint: another one than the packaged one. before: the worker of an earlier commit.
    """

    stack: LocalStack
    work_dir: Path
    checkpoint: Path | None
    amounts: Amounts
    before: Program | None = None
    plots: Path | None = None

    @property
    def workers(self) -> list[Program]:
        """The worker before, if any, and ours."""
        return [program for program in (self.before, OURS) if program is not None]

    @property
    def broker_pid(self) -> int:
        """The process id of the broker."""
        return self.stack.brokers[0].pid

    def workplace(self, num_partitions: int) -> Workplace:
        """Topics with `num_partitions` partitions each, which exist, and a group."""
        made = new_workplace(self.stack, inputs=("tweets",), partitions=num_partitions)
        made.create_topics()
        return made

    def worker(self, program: Program, workplace: Workplace, suffix: str = "") -> ProgramProcess:
        """A worker on the workplace, not yet started."""
        return ProgramProcess(program, workplace, self.checkpoint, self.work_dir, suffix=suffix)
