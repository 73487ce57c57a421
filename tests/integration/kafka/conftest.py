"""Runs scenarios on real brokers, and reads what they committed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.integration.kafka.scene import Scenario, Scene
from tests.kafka_tools import read_to_end
from tests.workplace import Workplace
from worker.kafka.brokers import Brokers

BOUND_S = 120


@pytest.fixture
def run(workplace: Workplace) -> Callable[[Scenario], None]:
    def run_scenario(scenario: Scenario) -> None:
        async def with_brokers() -> None:
            async with Brokers(workplace.settings) as brokers:
                await asyncio.wait_for(scenario(Scene(workplace, brokers)), BOUND_S)

        asyncio.run(with_brokers())

    return run_scenario


@pytest.fixture
def seen(workplace: Workplace) -> Callable[[], list[bytes]]:
    """What a reader of committed records sees on the events topic."""
    return lambda: [record.value for record in read_to_end(workplace.settings.kafka, workplace.settings.events_topic)]
