"""The process: how it ends when it must, at once, with nothing committed or flushed after the error."""

from __future__ import annotations

import gc
import logging
import os
import signal
import threading
from typing import NoReturn

from model import ModelError
from worker.errors import EXIT_FAILED, EXIT_OK, SentimentError, SettingsError

logger = logging.getLogger(__name__)


def calm_garbage_collector() -> None:
    """Keep the collector from walking over what lives as long as the process; call it once all is loaded.

    Imports and engine leave 200,000 tracked objects, over which a full collection takes 75 ms: left as it is, the
    collector spends a quarter of the worker's CPU. The worker's own objects form no cycles in number.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def die(error: BaseException) -> NoReturn:
    """Log `error` and end the process with its exit code.

    Not sys.exit: that would drain first, and a drain after an error of unknown reach could commit what must not be.
    The next owner of the partitions takes over from what Kafka has committed, so nothing is lost by ending here.
    """
    expected = isinstance(error, SentimentError | ModelError)
    logger.critical("the worker ends: %s", error, extra={"action": "die"}, exc_info=None if expected else error)
    for handler in logging.getLogger().handlers:
        handler.flush()
    os._exit(error.exit_code if isinstance(error, SentimentError) else EXIT_FAILED)


def end_within(bound_s: float) -> None:
    """End the process well after `bound_s` if it is still there: when all is done but for what libraries do to stop."""

    def leave() -> None:
        logger.warning("not stopped within %g s after the drain: ending", bound_s, extra={"action": "leave"})
        os._exit(EXIT_OK)

    timer = threading.Timer(bound_s, leave)
    timer.daemon = True
    timer.start()


class CrashPoints:
    """Named places at which a fault test lets the process die by SIGKILL; outside such tests they do nothing.

    `crash_at` is the name of a point, or name:count to die when it is reached for the count-th time.
    """

    NAMES = (
        "taken",
        "decoded",
        "loaded",
        "scored",
        "produced",
        "committed",
        "applied",
        "flushed",
        "fenced",
        "claimed",
        "planned",
        "replayed",
    )

    def __init__(self, crash_at: str | None) -> None:
        name, _, count = (crash_at or "").partition(":")
        if crash_at and (name not in self.NAMES or not (count or "1").isdecimal()):
            raise SettingsError(
                f"crash_at: {crash_at!r} is not one of {', '.join(self.NAMES)}, or such a name and :count"
            )
        self._name = name
        self._remaining = int(count or 1)

    def reach(self, name: str) -> None:
        """Die here if this is the point that was asked for."""
        if name != self._name:
            return
        self._remaining -= 1
        if self._remaining <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
