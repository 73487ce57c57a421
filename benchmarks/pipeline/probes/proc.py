"""The kernel's account of a process, in /proc: its CPU time, its memory and its connections."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
NUM_POINTS = 100  # of a mean over time
ESTABLISHED = "01"  # the kernel's code for the state of a connection


def cpu_s(pid: int) -> float:
    """CPU seconds that the process and its threads have used. Raises OSError if it has ended."""
    # after the program's name, which may contain anything, utime and stime are the 12th and 13th fields
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def rss_bytes(pid: int) -> int:
    """Resident memory of the process. Raises OSError if it has ended."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


def num_connections(pid: int, port: int) -> int:
    """Number of established TCP connections of the process to `port` of any host. Raises OSError if it has ended."""
    to_port = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            remote_port, state, inode = int(fields[2].rpartition(":")[2], 16), fields[3], fields[9]
            if (remote_port, state) == (port, ESTABLISHED):
                to_port.add(f"socket:[{inode}]")
    return sum(_link(entry) in to_port for entry in Path(f"/proc/{pid}/fd").iterdir())


def _link(entry: Path) -> str | None:
    try:
        return str(entry.readlink())
    except FileNotFoundError:  # closed meanwhile
        return None


@dataclass(frozen=True)
class Usage:
    """CPU seconds and resident memory at a wall-clock time."""

    at_s: float
    cpu_s: float
    rss_bytes: int

    @classmethod
    def of(cls, pid: int) -> Usage:
        """The usage of a process until now. Raises OSError if it has ended."""
        return cls(time.time(), cpu_s(pid), rss_bytes(pid))


class UsageSamples:
    """Usage of a process, sampled while it runs."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._samples: list[Usage] = []

    def sample(self) -> None:
        """Take a sample; nothing if the process has ended."""
        try:
            found = Usage.of(self._pid)
        except OSError:
            return
        if found.rss_bytes:  # a process that ends has no memory any more
            self._samples.append(found)

    def cpu_s(self, at_s: float) -> float:
        """CPU seconds used until the wall-clock time `at_s`, interpolated between samples."""
        return float(np.interp(at_s, *self._series("cpu_s")))

    def mean_rss_bytes(self, from_s: float, to_s: float) -> float:
        """Mean resident memory between two wall-clock times, interpolated between samples."""
        times_s = np.linspace(from_s, to_s, NUM_POINTS)
        return float(np.interp(times_s, *self._series("rss_bytes")).mean())

    def _series(self, name: str) -> tuple[list[float], list[float]]:
        return [each.at_s for each in self._samples], [getattr(each, name) for each in self._samples]
