"""One stack of real servers for the whole run, and separate names for every test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.workplace import Workplace, new_workplace
from worker.settings import ENV_PREFIX
from worker.stack import LocalStack

pytest_plugins = ["tests.training_packages"]

TESTS = Path(__file__).parent
KINDS = {"unit", "integration", "system", "faults", "simulation", "page"}
IN_CONTAINERS = os.environ.get("SENTIMENT_STACK") == "containers"

# Neither the settings of the person who runs the tests nor the speed of the machine may affect the results.
for variable in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
    del os.environ[variable]
hypothesis.settings.register_profile("sentiment", deadline=None)
hypothesis.settings.load_profile("sentiment")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the name of its folder: pytest -m "unit or integration"."""
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0]
        if folder in KINDS:
            item.add_marker(folder)


def _new_stack() -> LocalStack:
    if IN_CONTAINERS:
        from tests.servers.containers import ContainerStack  # noqa: PLC0415 - needs a Docker engine

        return ContainerStack(append_only=True)
    return LocalStack(append_only=True)


@pytest.fixture(scope="session")
def session_stack() -> Iterator[LocalStack]:
    with _new_stack() as stack:
        yield stack


@pytest.fixture
def stack(session_stack: LocalStack) -> Iterator[LocalStack]:
    """The shared servers. After the test, those that it stopped or paused run again."""
    yield session_stack
    for server in session_stack.servers:
        if server.running:
            server.resume()
        else:
            server.start()


@pytest.fixture
def make_workplace(stack: LocalStack) -> Iterator[Callable[..., Workplace]]:
    """Makes workplaces with topics; takes the arguments of `new_workplace`."""
    made: list[Workplace] = []

    def make(**flags: Any) -> Workplace:
        made.append(new_workplace(stack, **flags))
        made[-1].create_topics()
        return made[-1]

    yield make
    for workplace in made:
        workplace.delete_topics()


@pytest.fixture
def workplace(make_workplace: Callable[..., Workplace]) -> Workplace:
    """A workplace with the default settings."""
    return make_workplace()
