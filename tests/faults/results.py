"""Results of a campaign, one a line of JSON, so that a campaign can be cut off and continued."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.system.worker_process import ROOT

CODE = ("worker", "model", "tests")


@dataclass(frozen=True)
class Result:
    """The outcome of one seed.

    commit: of the code, with `+` if it was changed since. recovery_s: for each partition that a victim owned.
    zombies_tried: refused writes to lost partitions; zombies_accepted: events that came twice or from nowhere.
    differences: the number of each kind, without those of none; examples: some of their messages.
    planted: the bug that was planted in the workers, '' for none.
    """

    commit: str
    fault: str
    seed: int
    records: int
    seconds: float
    injected: dict[str, int]
    restarts: int
    zombies_tried: int
    zombies_accepted: int
    replayed: int
    recovery_s: list[float]
    differences: dict[str, int]
    examples: list[str]
    planted: str = ""

    @property
    def num_differences(self) -> int:
        """The differences of all kinds."""
        return sum(self.differences.values())


class Results:
    """The results in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[Result]:
        """All of them, in the order in which they were found."""
        lines = self._path.read_text().splitlines() if self._path.exists() else ()
        return [Result(**json.loads(line)) for line in lines]

    def latest(self) -> list[Result]:
        """Of each seed of a fault, and of a planted bug, the last one, on whatever code it ran."""
        return list({(one.planted, one.fault, one.seed): one for one in self.read()}.values())

    def append(self, result: Result) -> None:
        """Add one at once."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(result)) + "\n")

    def has(self, commit: str, fault: str, seed: int) -> bool:
        """Whether this seed ran on this code. After changes it is unknown which ones it ran on, so it runs again.

        So does one that ended before its fault was caused, as on a machine whose servers did not start in time.
        """
        key = commit, fault, seed
        known = ((one.commit, one.fault, one.seed) for one in self.read() if not one.planted and one.injected)
        return not commit.endswith("+") and key in known


def commit_of_code() -> str:
    """The last commit that changed the code or the tests, with `+` if they have changed since."""

    def git(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["git", *arguments, "--", *CODE]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    commit = git("log", "-1", "--format=%h").stdout.strip() or "unknown"
    is_clean = git("diff", "--quiet", "HEAD").returncode == 0
    return commit if is_clean else f"{commit}+"
