"""Virtual time, crashes and pauses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.simulation.loop import START_S, Process, SimulatedLoop, StalledError


@pytest.fixture
def loop() -> Iterator[SimulatedLoop]:
    made = SimulatedLoop(1)
    yield made
    made.close()


def run_for(loop: SimulatedLoop, seconds: float) -> None:
    loop.run_until_complete(asyncio.sleep(seconds))


def new_process(loop: SimulatedLoop, steps: list[float]) -> Process:
    async def main() -> None:
        try:
            while True:
                await asyncio.sleep(1.0)
                steps.append(loop.time() - START_S)
        finally:
            steps.append(-1)

    return loop.new_process("one", main)


def test_time_jumps_to_the_next_timer(loop: SimulatedLoop) -> None:
    run_for(loop, 3600)
    assert loop.time() == START_S + 3600
    assert loop.num_steps < 10


def test_a_crashed_process_does_not_even_clean_up(loop: SimulatedLoop) -> None:
    steps: list[float] = []
    process = new_process(loop, steps)
    run_for(loop, 2.5)
    process.crash("killed")
    run_for(loop, 10)
    assert steps == [1.0, 2.0]


def test_a_process_crashes_between_any_two_callbacks(loop: SimulatedLoop) -> None:
    steps: list[float] = []
    process = new_process(loop, steps)
    process.after_steps(1, lambda: process.crash("killed"))
    run_for(loop, 10)
    assert steps == []
    assert process.exit_reason == "killed"


def test_a_paused_process_finds_its_timers_due(loop: SimulatedLoop) -> None:
    steps: list[float] = []
    process = new_process(loop, steps)
    run_for(loop, 1.5)
    process.paused = True
    run_for(loop, 10)
    assert steps == [1.0]
    loop.resume(process)
    run_for(loop, 1.5)
    assert steps == [1.0, 11.5, 12.5]


def test_work_in_a_thread_takes_virtual_time(loop: SimulatedLoop) -> None:
    async def work() -> int:
        return await loop.run_in_executor(None, lambda: 7)  # type: ignore[no-any-return]

    assert loop.run_until_complete(work()) == 7
    assert loop.time() > START_S


def test_a_loop_with_nothing_to_wait_for_says_so(loop: SimulatedLoop) -> None:
    with pytest.raises(StalledError):
        loop.run_until_complete(loop.create_future())
