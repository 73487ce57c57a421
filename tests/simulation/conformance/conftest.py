"""Runs a script of requests on the model and on a real cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.simulation.conformance.script import Script, ScriptBody
from tests.simulation.conformance.servers import BOUND_S, RealServers, SimulatedServers
from tests.simulation.loop import SimulatedLoop
from tests.workplace import new_workplace
from worker.stack import LocalStack


@pytest.fixture
def answers(stack: LocalStack) -> Callable[[ScriptBody], None]:
    """Runs a script on both, and compares what they answered."""

    async def run(body: ScriptBody, servers: Any) -> list[tuple[str, Any]]:
        script = Script(servers)
        async with servers.clients[0], servers.clients[1]:
            await servers.create_topic(script.into, 2)
            await servers.create_topic(script.out, 2)
            await asyncio.wait_for(body(script), BOUND_S)
            for topic in list(getattr(servers, "topics", ())):
                await servers.delete_topic(topic)
        return script.answers

    def compare(body: ScriptBody) -> None:
        loop = SimulatedLoop(0)
        simulated = loop.run_until_complete(run(body, SimulatedServers(loop)))
        loop.close()
        real = asyncio.run(run(body, RealServers(new_workplace(stack))))
        assert [(name, _plain(answer)) for name, answer in simulated] == [(n, _plain(answer)) for n, answer in real]

    return compare


def _plain(answer: Any) -> Any:
    """Without the kinds of sequences and of numbers."""
    if isinstance(answer, list | tuple):
        return [_plain(one) for one in answer]
    return int(answer) if isinstance(answer, int) else answer
