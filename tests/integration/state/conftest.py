"""A real Redis for the tests of this folder, and a store whose keys no other test uses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from redis import Redis

from tests.factories.partitions import CONFIG
from tests.integration.state.owners import FINGERPRINT, Scenario
from tests.workplace import Workplace
from worker.state.store import StateStore

BOUND_S = 120


@pytest.fixture
def redis(workplace: Workplace) -> Redis:
    return Redis.from_url(workplace.settings.redis)


@pytest.fixture
def run(workplace: Workplace) -> Callable[[Scenario], None]:
    """Runs a scenario with a store whose keys no other test uses."""

    def run_scenario(scenario: Scenario) -> None:
        async def with_store() -> None:
            store = StateStore(workplace.settings, CONFIG, FINGERPRINT)
            try:
                await asyncio.wait_for(scenario(store), BOUND_S)
            finally:
                await store.close()

        asyncio.run(with_store())

    return run_scenario
