"""How the process starts, stops and ends."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import re
import signal
import sys
import threading
from typing import NoReturn

from model import ModelError
from worker.errors import EXIT_FAILED, EXIT_OK, SentimentError, SettingsError

logger = logging.getLogger(__name__)

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGE_BYTES, _SPARE_BYTES = 1 << 20, 1 << 24


def calm_garbage_collector() -> None:
    """Exclude everything loaded so far from garbage collection; call it once the engine is loaded.

    The imports and the engine leave 200,000 tracked objects, and a full collection over them takes 75 ms: with the
    default thresholds the collector uses a quarter of the worker's CPU. The worker itself creates few cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def return_large_blocks() -> None:
    """Let glibc map blocks of a megabyte and more one by one, so that they go back to the system when they are freed.

    By itself it raises that bound to the largest block freed so far. Fetched batches and arrays then come from its
    heaps, which keep the room: 15 MB in the first rebuilds, and more in later ones. Call it before threads start.
    Of other libraries than glibc nothing is asked.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _SPARE_BYTES)  # the first call would leave it so low that each batch moves the end


def give_back_memory() -> None:
    """Give the system what the C library keeps of freed memory: tens of megabytes after a backlog or a rebuild.

    Takes milliseconds, without the GIL. Of other libraries than glibc nothing is asked.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(ctypes.c_size_t(0))


class StopEvent(asyncio.Event):
    """Set when the process is asked to stop; `signal` is the signal that asked."""

    signal: signal.Signals | None = None


def stop_on_signals() -> StopEvent:
    """An event that Ctrl-C or SIGTERM sets. A second signal has its default effect again: it ends the process."""
    loop = asyncio.get_running_loop()
    stop = StopEvent()

    def set_stop(received: signal.Signals) -> None:
        for number in _STOP_SIGNALS:
            loop.remove_signal_handler(number)
        stop.signal = received
        stop.set()

    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, set_stop, number)
    return stop


def end_as_by_ctrl_c() -> None:
    """End the process as SIGINT does by default: a shell stops its script then, and says 130."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)


def die(error: BaseException) -> NoReturn:
    """Log `error` and end the process at once with its exit code.

    Not sys.exit: that would drain first, and after an unexpected error a drain could commit wrong results.
    The next owner of the partitions resumes from what Kafka has committed, so nothing is lost.
    """
    expected = isinstance(error, SentimentError | ModelError)
    logger.critical("the worker ends: %s", error, extra={"action": "die"}, exc_info=None if expected else error)
    for handler in logging.getLogger().handlers:
        handler.flush()
    os._exit(error.exit_code if isinstance(error, SentimentError) else EXIT_FAILED)


def end_within(bound_s: float) -> None:
    """End the process with code 0 after `bound_s` if it still runs: the drain is done, but a library may not stop."""

    def leave() -> None:
        logger.warning("still running %g s after the drain: ending", bound_s, extra={"action": "leave"})
        os._exit(EXIT_OK)

    timer = threading.Timer(bound_s, leave)
    timer.daemon = True
    timer.start()


class CrashPoints:
    """Named points at which a fault test makes the process kill itself (SIGKILL); otherwise they do nothing.

    `crash_at` is the name of a point, name:count to die when the point is reached for the count-th time, or
    name:count:stop to be suspended there (SIGSTOP) until a SIGCONT. Raises SettingsError when it is none of these.
    """

    NAMES = (
        "taken",
        "decoded",
        "loaded",
        "scored",
        "produced",
        "offsets_sent",
        "committed",
        "applied",
        "flushed",
        "fenced",
        "claimed",
        "planned",
        "replayed",
    )

    def __init__(self, crash_at: str | None) -> None:
        self._name, self._remaining, self._signal = "", 0, signal.SIGKILL
        if not crash_at:
            return
        match = re.fullmatch(rf"({'|'.join(self.NAMES)})(?::(\d+)(:stop)?)?", crash_at)
        if match is None:
            raise SettingsError(
                f"crash_at: {crash_at!r} is neither one of {', '.join(self.NAMES)} nor such a name followed by :count "
                "or :count:stop"
            )
        self._name, self._remaining = match[1], int(match[2] or 1)
        if match[3]:
            self._signal = signal.SIGSTOP

    def reach(self, name: str) -> None:
        """Die or stop here if `name` is the point chosen by `crash_at`."""
        if name != self._name:
            return
        self._remaining -= 1
        if self._remaining <= 0:
            self._name = ""  # a process that continues after SIGSTOP stops only once
            os.kill(os.getpid(), self._signal)
