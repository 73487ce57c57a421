"""One micro-batch at a time, and the commit beside it."""

from __future__ import annotations

import asyncio

import pytest

from worker.ownership.processing_lock import ProcessingLock


def test_whoever_stops_waiting_for_a_commit_does_not_stop_the_commit() -> None:
    lock = ProcessingLock()
    committed = asyncio.Event()

    async def commit() -> None:
        await asyncio.sleep(0.01)
        committed.set()

    async def scenario() -> None:
        lock.start_commit(commit())
        waiting = asyncio.create_task(lock.settled())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await lock.settled()
        assert committed.is_set()

    asyncio.run(scenario())


def test_the_lock_is_held_by_one_at_a_time_and_released_on_an_error() -> None:
    lock = ProcessingLock()
    order: list[str] = []

    async def hold(name: str) -> None:
        async with lock:
            order.append(f"{name} begins")
            await asyncio.sleep(0)
            order.append(f"{name} ends")
            raise ValueError

    async def scenario() -> None:
        await asyncio.gather(hold("a"), hold("b"), return_exceptions=True)

    asyncio.run(scenario())
    assert order == ["a begins", "a ends", "b begins", "b ends"]


def test_nobody_waits_for_servers_from_a_revocation_until_the_next_assignment() -> None:
    lock = ProcessingLock()
    assert not lock.revoking
    lock.revoke()
    assert lock.revoking
    lock.assign()
    assert not lock.revoking
