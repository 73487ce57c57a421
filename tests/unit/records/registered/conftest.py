"""A schema registry, and a codec that asks it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.servers.fake_registry import FakeRegistry
from tests.unit.records.registered.reviews import FIELDS
from worker.records.codec import Codec
from worker.settings import load_settings


@pytest.fixture
def registry() -> Any:
    with FakeRegistry() as server:
        yield server


@pytest.fixture
def make_codec(registry: FakeRegistry) -> Callable[[str], Codec]:
    def make(format_: str) -> Codec:
        return Codec(
            load_settings(
                topics=("t",),
                payloads={"t": format_},
                fields={"t": FIELDS},
                registry=registry.url,
                request_timeout_s=1,
            )
        )

    return make
