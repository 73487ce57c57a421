"""Reads an iterable in a thread: what waits for a disk or a pipe holds up neither the connection nor a Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")
MAX_AHEAD = 1000


class Background(Generic[T]):
    """Iterates over `source` at most MAX_AHEAD items ahead.

    The thread is a daemon: one that waits for standard input does not keep the process alive.
    """

    def __init__(self, source: Iterable[T]) -> None:
        self._source = source
        self._items: list[T] = []
        self._changed = threading.Condition()
        self._closed = False
        self._over = False
        self._error: BaseException | None = None
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        threading.Thread(target=self._read, name="feed", daemon=True).start()

    async def items(self, stop: asyncio.Event) -> AsyncIterator[T | None]:
        """Every item, as soon as it is there, until `stop`; None before a wait. Raises what the source raised."""
        stopped = asyncio.ensure_future(stop.wait())
        try:
            while not stop.is_set():
                self._wake.clear()
                with self._changed:
                    items, self._items, over = self._items, [], self._over
                    self._changed.notify()
                for item in items:
                    yield item
                if over and not items:
                    if self._error is not None:
                        raise self._error
                    return
                if not items:
                    yield None
                    waiting = asyncio.ensure_future(self._wake.wait())
                    await asyncio.wait([waiting, stopped], return_when=asyncio.FIRST_COMPLETED)
                    waiting.cancel()
        finally:
            stopped.cancel()

    def close(self) -> None:
        """Let the thread end after its next item."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _read(self) -> None:
        try:
            for item in self._source:
                with self._changed:
                    self._items.append(item)
                    is_first = len(self._items) == 1
                    self._changed.wait_for(lambda: self._closed or len(self._items) < MAX_AHEAD)
                    if self._closed:
                        return
                if is_first:
                    self._notify()
        except BaseException as error:  # raised where the items are taken
            self._error = error
        with self._changed:
            self._over = True
        self._notify()

    def _notify(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._wake.set)
