"""One micro-batch at a time in steps 1 to 4, while the one before it is committed."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Self


class ProcessingLock:
    """`async with lock:` is held through steps 1 to 4, and by whatever must not run beside them.

    The commit (step 5) of a micro-batch goes on while the next one holds the lock; `settled` waits for it.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._commit: asyncio.Task[None] | None = None
        self._revoking = False

    async def __aenter__(self) -> Self:
        await self._lock.acquire()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()

    @property
    def revoking(self) -> bool:
        """Whether the partitions are being revoked, or were: whoever holds the lock must not wait for a server."""
        return self._revoking

    def revoke(self) -> None:
        """The partitions are being revoked."""
        self._revoking = True

    def assign(self) -> None:
        """Partitions are owned again."""
        self._revoking = False

    def start_commit(self, commit: Coroutine[Any, Any, None]) -> None:
        """Let `commit` go on beside the next micro-batch. Call it while holding the lock, once `settled`."""
        self._commit = asyncio.create_task(commit)

    async def settled(self) -> None:
        """Wait until the commit under way is decided. A commit that cannot be decided ends the process."""
        if self._commit is not None:
            # Whoever stops waiting, as a take-over does at a revocation, must not cancel the commit.
            await asyncio.shield(self._commit)
            self._commit = None
