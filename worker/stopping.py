"""How a command that runs until it is told to stop hears of it."""

from __future__ import annotations

import asyncio
import signal

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def stop_on_signals() -> asyncio.Event:
    """An event that Ctrl-C or SIGTERM sets. A second one ends the process as if this had not been called."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def tell() -> None:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
        stop.set()

    for number in _SIGNALS:
        loop.add_signal_handler(number, tell)
    return stop
