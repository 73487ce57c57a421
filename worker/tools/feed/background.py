"""Reads an iterable in a thread: what waits for a disk or a pipe holds up neither the connection nor a Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import Any, Generic, TypeVar

T = TypeVar("T")
MAX_AHEAD = 1000


class Background(Generic[T]):
    """Iterates over `source` at most MAX_AHEAD items ahead.

    The thread is a daemon: one that waits for standard input does not keep the process alive. Items pass through a
    deque, which both sides use without a lock; either side takes the lock only to wait for the other.
    """

    def __init__(self, source: Iterable[T]) -> None:
        self._source = source
        self._items: deque[T] = deque()
        self._is_awaited = False
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
                over = self._over
                while self._items and not stop.is_set():
                    yield self._items.popleft()
                    if len(self._items) == MAX_AHEAD // 2:
                        self._tell_reader()
                self._tell_reader()
                if over and not self._items:
                    if self._error is not None:
                        raise self._error
                    return
                if not self._items:
                    yield None
                    await self._wait(stopped)
        finally:
            stopped.cancel()

    async def _wait(self, stopped: asyncio.Future[Any]) -> None:
        """Wait for an item, the end, or `stopped`."""
        self._wake.clear()
        self._is_awaited = True
        if not self._items and not self._over:  # looked at again: the thread may not have seen that it is awaited
            waiting = asyncio.ensure_future(self._wake.wait())
            await asyncio.wait([waiting, stopped], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
        self._is_awaited = False

    def close(self) -> None:
        """Let the thread end after its next item."""
        self._closed = True
        self._tell_reader()

    def _tell_reader(self) -> None:
        with self._changed:
            self._changed.notify()

    def _read(self) -> None:
        try:
            for item in self._source:
                self._items.append(item)
                if self._is_awaited:
                    self._notify()
                if len(self._items) >= MAX_AHEAD:
                    with self._changed:
                        self._changed.wait_for(lambda: self._closed or len(self._items) < MAX_AHEAD)
                if self._closed:
                    return
        except BaseException as error:  # raised where the items are taken
            self._error = error
        self._over = True
        self._notify()

    def _notify(self) -> None:
        self._is_awaited = False
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._wake.set)
