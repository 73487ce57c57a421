"""Asking again, within a bound, after errors that may pass."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import stamina
import stamina.instrumentation

Answer = TypeVar("Answer")

# Callers log what they wait for, in their own words.
stamina.instrumentation.set_on_retry_hooks(())


async def retry(
    call: Callable[[], Awaitable[Answer]],
    *,
    is_passing: Callable[[Exception], bool],
    wait_s: float,
    timeout_s: float | None,
) -> Answer:
    """Await `call` until it answers, every `wait_s` after an error that `is_passing`.

    Raises an error that does not pass at once, and the last one when the next try would come later than `timeout_s`
    after the first. None: `is_passing` alone bounds the wait.
    """
    async for attempt in _attempts(is_passing, wait_s, timeout_s):
        with attempt:
            return await call()
    raise AssertionError("stamina ends by an answer or an error")


def retry_blocking(
    call: Callable[[], Answer], *, is_passing: Callable[[Exception], bool], wait_s: float, timeout_s: float
) -> Answer:
    """As `retry`, for a call that blocks its thread."""
    for attempt in _attempts(is_passing, wait_s, timeout_s):
        with attempt:
            return call()
    raise AssertionError("stamina ends by an answer or an error")


def _attempts(is_passing: Callable[[Exception], bool], wait_s: float, timeout_s: float | None) -> Any:
    """Tries with equal waits between them, as many as the time allows."""
    return stamina.retry_context(
        on=is_passing,
        attempts=None,
        timeout=timeout_s,
        wait_initial=wait_s,
        wait_max=wait_s,
        wait_jitter=0,
        wait_exp_base=1,
    )
