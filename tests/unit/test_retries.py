"""A call is asked again while its errors may pass, within a bound, and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from worker.retries import retry

BOUND_S = 60


class Calls:
    """A call that raises its errors one after the other, and then answers; the last error for good if `forever`."""

    def __init__(self, *errors: Exception, forever: bool = False) -> None:
        self._errors = list(errors)
        self._forever = forever
        self.count = 0

    async def __call__(self) -> str:
        self.count += 1
        if self._errors:
            raise self._errors[0] if self._forever else self._errors.pop(0)
        return "answer"


def run(call: Callable[[], Awaitable[Any]], timeout_s: float | None = BOUND_S) -> Any:
    asked = retry(call, is_passing=lambda error: isinstance(error, OSError), wait_s=0.001, timeout_s=timeout_s)
    return asyncio.run(asyncio.wait_for(asked, BOUND_S))


def test_an_error_that_passes_is_followed_by_another_try() -> None:
    calls = Calls(OSError("away"), ConnectionError("still away"))
    assert run(calls) == "answer"
    assert calls.count == 3


def test_an_error_that_does_not_pass_is_raised_at_once() -> None:
    calls = Calls(ValueError("wrong"))
    with pytest.raises(ValueError, match="wrong"):
        run(calls)
    assert calls.count == 1


def test_after_the_bound_the_last_error_is_raised() -> None:
    calls = Calls(OSError("away"), forever=True)
    with pytest.raises(OSError, match="away"):
        run(calls, timeout_s=0.05)
    assert calls.count > 1


def test_without_a_bound_only_the_error_decides() -> None:
    calls = Calls(*(OSError("away") for _ in range(50)), ValueError("enough"))
    with pytest.raises(ValueError, match="enough"):
        run(calls, timeout_s=None)


def test_a_cancelled_call_is_not_tried_again() -> None:
    calls = Calls(OSError("away"), forever=True)

    async def scenario() -> None:
        asked = asyncio.create_task(retry(calls, is_passing=lambda _: True, wait_s=30, timeout_s=None))
        await asyncio.sleep(0.01)
        asked.cancel()
        await asked

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(asyncio.wait_for(scenario(), BOUND_S))
    assert calls.count == 1
