"""An event loop with virtual time, on which processes crash and pause between any two awaits.

Time stands still while callbacks run, and jumps to the next timer when none is ready. Callbacks of one process run in
the order in which asyncio made them ready; timers that are due together run in an order that the seed decides.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import random
from collections.abc import Callable
from typing import Any

START_S = 1_700_000_000.0
_MAX_SCORING_S = 0.02


class Process:
    """One life of a simulated process. Its callbacks are those whose context names it.

    A crashed process runs nothing any more, no finally-block either. A paused one runs nothing until it is resumed;
    timers that fall due and answers that arrive meanwhile wait for it, as after SIGSTOP and SIGCONT.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.paused = False
        self.held: list[asyncio.Handle] = []
        self.steps_left = -1
        self.on_steps_done: Callable[[], None] | None = None
        self.exit_reason: str | None = None
        self.objects: list[Any] = []  # keeps a dead process' tasks from the garbage collector, which would close them

    def __repr__(self) -> str:
        return self.name

    def after_steps(self, num_steps: int, action: Callable[[], None]) -> None:
        """Call `action` before the process runs its callback number `num_steps` from now."""
        self.steps_left, self.on_steps_done = num_steps, action

    def crash(self, reason: str) -> None:
        """End the process at once."""
        if self.alive:
            self.alive, self.exit_reason = False, reason
            self.held.clear()


PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)
WORLD = contextvars.Context()
"""The context of callbacks that belong to no process: servers, the network, faults."""


class StalledError(Exception):
    """Nothing is left that could run, or the virtual time or the number of steps is over its limit."""


class SimulatedLoop(asyncio.BaseEventLoop):
    """See the module."""

    def __init__(self, seed: int | str, max_steps: int = 300_000) -> None:
        super().__init__()
        self.random = random.Random(seed)
        self.num_steps = 0
        self._max_steps = max_steps
        self._now_s = START_S
        self._ready: Any
        self._scheduled: list[Any]

    def time(self) -> float:
        return self._now_s

    def new_process(self, name: str, main: Callable[[], Any]) -> Process:
        """A process that runs the coroutine function `main`."""
        process = Process(name)
        context = contextvars.Context()
        context.run(PROCESS.set, process)
        process.objects.append(context.run(self.create_task, main()))
        return process

    def in_world(self, delay_s: float, callback: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        """Call `callback` after `delay_s`, as nobody's process."""
        return self.call_later(delay_s, callback, *args, context=WORLD)

    def resume(self, process: Process) -> None:
        """Let a paused process go on."""
        process.paused = False
        held, process.held = process.held, []
        self._ready.extend(held)

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        """Run `func` on the loop after a delay, as its process."""
        future: asyncio.Future[Any] = self.create_future()

        def work() -> None:
            if future.cancelled():
                return
            try:
                future.set_result(func(*args))
            except Exception as error:
                future.set_exception(error)

        self.call_later(self.random.random() * _MAX_SCORING_S, work)
        return future

    def _run_once(self) -> None:
        scheduled, ready = self._scheduled, self._ready
        if not ready:
            while scheduled and scheduled[0]._cancelled:
                heapq.heappop(scheduled)._scheduled = False
            if scheduled:
                self._now_s = max(self._now_s, scheduled[0]._when)
            elif not self._stopping:
                raise StalledError("nothing is left to run")
        due = []
        while scheduled and scheduled[0]._when <= self._now_s:
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            if not handle._cancelled:
                due.append(handle)
        if len(due) > 1:
            self.random.shuffle(due)
        ready.extend(due)
        for _ in range(len(ready)):
            self._run_handle(ready.popleft())
        if self.num_steps > self._max_steps:
            raise StalledError(f"more than {self._max_steps} steps")

    _stopping: bool

    def _run_handle(self, handle: Any) -> None:
        if handle._cancelled:
            return
        process = handle._context.get(PROCESS)
        if process is not None:
            if process.steps_left == 0 and process.on_steps_done is not None:
                action, process.on_steps_done, process.steps_left = process.on_steps_done, None, -1
                WORLD.copy().run(action)
            if not process.alive:
                return
            if process.paused:
                process.held.append(handle)
                return
            process.steps_left -= 1
        self.num_steps += 1
        handle._run()

    def _timer_handle_cancelled(self, handle: Any) -> None:
        pass  # cancelled timers leave the heap when they are due

    def _write_to_self(self) -> None:
        pass

    def _process_events(self, event_list: Any) -> None:
        pass
