"""A server as a child process: it has its own port and folder, a start timeout, and a file for its output."""

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

# The kernel kills a child with PR_SET_PDEATHSIG (1) when the *thread* that created it ends. One thread, which lives as
# long as the process, therefore creates all children. The flag survives exec. A fresh interpreter sets it, because code
# between fork and exec may deadlock in a process with threads. If the parent ends before the call, the child exits.
_SPAWNER = ThreadPoolExecutor(1, thread_name_prefix="stack-spawner")
_DIE_WITH_PARENT = """
import ctypes, os, signal, sys
if ctypes.CDLL(None).prctl(1, signal.SIGKILL) != 0 or os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone, or the kernel cannot tie this process to it")
os.execv(sys.argv[2], sys.argv[2:])
"""

_random = random.SystemRandom()  # not the shared generator, whose seed tests fix
_taken_ports: set[int] = set()


def free_port() -> int:
    """A free loopback port, returned only once, below the range that the kernel assigns to outgoing connections.

    Within that range, a client that reconnects while its server restarts could be assigned the port of the server.
    Raises DependencyError when no free port is found.
    """
    first_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(MAX_PORT_TRIES):
        port = _random.randrange(FIRST_PORT, max(first_ephemeral, FIRST_PORT + 1000))
        if port not in _taken_ports and _can_bind(port):
            _taken_ports.add(port)
            return port
    raise DependencyError("a free port", HOST, f"{MAX_PORT_TRIES} tries found none", "Stop programs that listen there.")


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def local_module(name: str) -> Any:
    """The module `name` of the extra `local`. Raises DependencyError, which says how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DependencyError(
            f"Python package {name}", sys.prefix, "is not installed", "Run: pip install '.[local]'"
        ) from error


class Server(ABC):
    """A server that can be started, stopped, killed, paused and restarted with the same port and folder.

    `name` appears in messages and file names; the server's output is appended to `log`.
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
        """host:port for clients."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """The process id. Raises RuntimeError when the server was not started."""
        return self._child.pid

    @property
    def _child(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process

    @property
    def exit_code(self) -> int | None:
        """Exit code of the last process; None while it runs; negative: the signal that killed it."""
        return self._child.poll()

    @property
    def running(self) -> bool:
        """Whether the process exists, paused or not."""
        return self._process is not None and self.exit_code is None

    @abstractmethod
    def command(self) -> list[str]:
        """The absolute path of the program and its arguments. May prepare the folder."""

    def environment(self) -> dict[str, str]:
        """The variables that the process gets beside those of this one."""
        return {}

    @abstractmethod
    def answers(self) -> bool:
        """Whether this process (not another on its port) answers a request; returns within a few seconds."""

    def start(self) -> None:
        """Start and wait until the server answers. Raises DependencyError with the end of its output."""
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
            return subprocess.Popen(  # noqa: S603 - a program of the stack, without a shell
                launcher + command,
                cwd=self.folder,
                env=os.environ | self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C must not reach the servers, which the worker needs to drain
            )

    def stop(self) -> None:
        """End the server with SIGTERM, as an operator would, and kill it after STOP_TIMEOUT_S."""
        if not self.running:
            return
        self._child.terminate()
        self.resume()
        try:
            self._child.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the server with SIGKILL, like a crash."""
        if self.running:
            self._child.kill()
            self._child.wait(STOP_TIMEOUT_S)

    def pause(self) -> None:
        """Suspend the process: its port stays open, but it answers nothing."""
        self._child.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Continue after `pause`."""
        self._child.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Stop, then start with the same port and folder."""
        self.stop()
        self.start()

    def tail(self) -> str:
        """The last lines of the output, without the frames of stack traces."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        lines = [line[:MAX_TAIL_COLUMNS] for line in text.splitlines() if not line.startswith("\tat ")]
        return "\n".join(f"  {line}" for line in lines[-NUM_TAIL_LINES:])

    def _failed(self, problem: str) -> DependencyError:
        advice = f"Look for a taken port, a full disk or lack of memory at the end of its output:\n{self.tail()}"
        return DependencyError(self.name, self.address, problem, advice)
