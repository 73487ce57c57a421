"""What every measurement gets: the servers, and how much to measure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.growth.amounts import Amounts
from benchmarks.pipeline.bench import Amounts as WorkerAmounts
from benchmarks.pipeline.bench import Bench
from worker.stack import LocalStack


@dataclass(frozen=True)
class GrowthBench:
    """The servers and the amounts. checkpoint: another one than the packaged one. new_checkpoint: what follows it."""

    stack: LocalStack
    work_dir: Path
    checkpoint: Path | None
    amounts: Amounts
    new_checkpoint: Path = Path("en")

    @property
    def workers(self) -> Bench:
        """The same for whole workers, as processes."""
        return Bench(self.stack, self.work_dir, self.checkpoint, WorkerAmounts(kills=self.amounts.kills))
