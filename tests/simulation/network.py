"""What lies between a process and a server: delays, requests that are lost and answers that are lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.simulation.loop import PROCESS, Process, SimulatedLoop

_MIN_DELAY_S, _MEAN_DELAY_S = 0.0002, 0.001

Stick = Callable[[Process, Callable[[], None]], None]
"""Takes a request that is stuck: whose it is, and what lets it arrive."""


class Network:
    """One server's connections. Faults are switched on and off by the world.

    away: no request arrives and no answer returns. lost_answers: the share of requests that are carried out and whose
    connection then breaks. slow: the share of requests that take up to `slow_s`. cut_off: processes without a network.
    stuck: the name of the next request that does not arrive by itself, and who takes it.
    """

    def __init__(self, loop: SimulatedLoop, name: str, trace: Callable[..., None], request_timeout_s: float) -> None:
        self._loop = loop
        self._name = name
        self._trace = trace
        self._request_timeout_s = request_timeout_s
        self.away = False
        self.lost_answers = 0.0
        self.slow = 0.0
        self.slow_s = 0.0
        self.cut_off: set[str] = set()
        self.break_after: tuple[str, float] | None = None
        self.stuck: tuple[str, Stick] | None = None

    def reaches(self, process: Process | None) -> bool:
        """Whether what `process` sends arrives."""
        return not self.away and (process is None or process.name.partition("/")[0] not in self.cut_off)

    @property
    def is_disturbed(self) -> bool:
        """Whether a fault is switched on."""
        return bool(self.away or self.lost_answers or self.slow or self.cut_off or self.stuck)

    async def ask(
        self,
        carry_out: Callable[[], Any],
        lost: Callable[[str], Exception],
        what: str = "",
        timeout_s: float | None = None,
    ) -> Any:
        """The answer of `carry_out`, which runs at the server; a future that it answers is awaited there.

        Raises what `lost` makes of a reason where no answer arrives.
        """
        process = PROCESS.get()
        if process is not None and not process.alive:
            await self._loop.create_future()
        if process is not None and process.paused:
            # It was paused in the callback that asks; the loop holds the next one back until it is resumed.
            await asyncio.sleep(0)
        answer: asyncio.Future[Any] = self._loop.create_future()
        arrive = partial(self._arrive, process, carry_out, answer, lost, what)
        if process is not None and self.stuck is not None and self.stuck[0] == what:
            (_, stick), self.stuck = self.stuck, None
            stick(process, arrive)
        else:
            self._loop.in_world(self._delay_s(), arrive)
        try:
            # Not wait_for, which in Python 3.11 takes no notice of a cancellation that comes with the answer.
            async with asyncio.timeout(timeout_s or self._request_timeout_s):
                return await answer
        except TimeoutError:
            raise lost("no answer in time") from None

    def _delay_s(self) -> float:
        chance = self._loop.random
        if self.slow and chance.random() < self.slow:
            return chance.random() * self.slow_s
        return _MIN_DELAY_S + chance.expovariate(1 / _MEAN_DELAY_S)

    def _arrive(
        self,
        process: Process | None,
        carry_out: Callable[[], Any],
        answer: asyncio.Future[Any],
        lost: Callable[[str], Exception],
        what: str,
    ) -> None:
        if not self.reaches(process):
            self._fail(answer, lost("the connection is broken"))
            return
        found = carry_out()
        if isinstance(found, asyncio.Future):
            found.add_done_callback(lambda done: self._return(process, done.result(), answer, lost, what))
        else:
            self._return(process, found, answer, lost, what)

    def _return(
        self,
        process: Process | None,
        found: Any,
        answer: asyncio.Future[Any],
        lost: Callable[[str], Exception],
        what: str,
    ) -> None:
        self._trace(self._name, process, what, found)
        if process is not None and self.break_after is not None and self.break_after[0] == what:
            self._break(process.name.partition("/")[0], self.break_after[1])
            self._fail(answer, lost("the connection is broken"))
            return
        if self.lost_answers and self._loop.random.random() < self.lost_answers:
            self._fail(answer, lost("the answer is lost"))
            return

        def arrive() -> None:
            if not self.reaches(process):
                self._fail(answer, lost("the connection is broken"))
            elif not answer.done():
                if isinstance(found, Exception):
                    answer.set_exception(found)
                else:
                    answer.set_result(found)

        self._loop.in_world(self._delay_s(), arrive)

    def _break(self, name: str, seconds: float) -> None:
        self.break_after = None
        self.cut_off.add(name)
        self._loop.in_world(seconds, self.cut_off.discard, name)

    def _fail(self, answer: asyncio.Future[Any], error: Exception) -> None:
        def fail() -> None:
            if not answer.done():
                answer.set_exception(error)

        self._loop.in_world(self._delay_s(), fail)
