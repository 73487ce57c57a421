"""One server as a child process: a port and a folder of its own, readiness with a bound, output in a file."""

from __future__ import annotations

import importlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

from worker.errors import DependencyError

HOST = "127.0.0.1"
READY_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 60.0
POLL_S = 0.05
NUM_TAIL_LINES, MAX_TAIL_COLUMNS = 15, 300
FIRST_PORT, MAX_PORT_TRIES = 10_000, 100

# The kernel kills a child with PR_SET_PDEATHSIG (1) when the *thread* that made it ends, so one thread, which ends
# with the process, makes them all. The setting survives exec; it is made in a fresh interpreter because code between
# fork and exec in a process with threads may deadlock. The parent may be gone before the call: then the child ends.
_SPAWNER = ThreadPoolExecutor(1, thread_name_prefix="stack-spawner")
_DIE_WITH_PARENT = """
import ctypes, os, signal, sys
if ctypes.CDLL(None).prctl(1, signal.SIGKILL) != 0 or os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone, or the kernel cannot tie this process to it")
os.execv(sys.argv[2], sys.argv[2:])
"""

_random = random.SystemRandom()  # of its own: tests fix the seed of the shared one
_taken_ports: set[int] = set()


def free_port() -> int:
    """A free loopback port, given out once, below those that the kernel lends to outgoing connections.

    A client that retries while its server restarts would sooner or later be lent that server's own port.
    """
    first_lent = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(MAX_PORT_TRIES):
        port = _random.randrange(FIRST_PORT, max(first_lent, FIRST_PORT + 1000))
        if port not in _taken_ports and _can_bind(port):
            _taken_ports.add(port)
            return port
    raise DependencyError("a free port", HOST, f"{MAX_PORT_TRIES} tries found none", "End programs that listen there.")


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def local_module(name: str) -> Any:
    """The module `name` of the extra `local`; raises DependencyError that says how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DependencyError(
            f"Python package {name}", sys.prefix, "is not installed", "Run: pip install '.[local]'"
        ) from error


class Server(ABC):
    """A server that can be started, stopped, killed, paused and started again on the same port and folder.

    `name` is for messages and the names of files; what the server prints is added to `log`.
    """

    def __init__(self, name: str, folder: Path, port: int | None = None) -> None:
        self.name = name
        self.folder = folder
        self.port = port or free_port()
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()

    @property
    def address(self) -> str:
        """host:port of its clients."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """Process id; raises RuntimeError when the server was not started."""
        return self._child.pid

    @property
    def _child(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process

    @property
    def exit_code(self) -> int | None:
        """Exit code of its last process, None while that runs; negative: the signal that killed it."""
        return self._child.poll()

    @property
    def running(self) -> bool:
        """Whether its process is there, paused or not."""
        return self._process is not None and self.exit_code is None

    @abstractmethod
    def command(self) -> list[str]:
        """Absolute program and arguments; may prepare the folder first."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether this very process answers a real request now; bounded."""

    def start(self) -> None:
        """Start and wait until it answers; raises DependencyError with the end of its output."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._launch()
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self.answers():
            if not self.running:
                raise self._failed(f"ended with code {self.exit_code} before it answered")
            if time.monotonic() > deadline:
                self.kill()
                raise self._failed(f"did not answer within {READY_TIMEOUT_S:.0f} s")
            time.sleep(POLL_S)

    def _launch(self) -> None:
        self._process = _SPAWNER.submit(self._spawn, self.command()).result(READY_TIMEOUT_S)

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        launcher = [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid())]
        with self.log.open("ab") as output:
            return subprocess.Popen(
                launcher + command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the worker, which still needs its servers to drain
            )

    def stop(self) -> None:
        """End it as its operator would, by SIGTERM; kill it where that takes too long."""
        if not self.running:
            return
        self._child.terminate()
        self.resume()
        try:
            self._child.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it by SIGKILL, as a crash would."""
        if self.running:
            self._child.kill()
            self._child.wait(STOP_TIMEOUT_S)

    def pause(self) -> None:
        """Stop it in its tracks: its port stays open and nothing is answered."""
        self._child.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._child.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """`stop`, then `start` on the same port and folder."""
        self.stop()
        self.start()

    def tail(self) -> str:
        """The last lines that it printed, without the frames of stack traces."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        lines = [line[:MAX_TAIL_COLUMNS] for line in text.splitlines() if not line.startswith("\tat ")]
        return "\n".join(f"  {line}" for line in lines[-NUM_TAIL_LINES:])

    def _failed(self, problem: str) -> DependencyError:
        advice = f"Look for a taken port, a full disk or too little memory in the end of its output:\n{self.tail()}"
        return DependencyError(self.name, self.address, problem, advice)
