"""What stops a worker before it joins its group; for missing rights see tests/integration/connect/test_rights.py."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from worker.errors import DependencyError
from worker.kafka.access.preflight import check_kafka
from worker.kafka.brokers import Brokers, UnsupportedRequestError
from worker.settings import load_settings


class OldBrokers:
    """Knows none of the requests that came with Kafka 2.5."""

    async def ask_coordinator(self, *_: Any) -> Any:
        raise UnsupportedRequestError("Support for OffsetFetch v7 has not yet been added")


def test_a_broker_that_is_too_old_is_refused_with_what_to_do() -> None:
    with pytest.raises(DependencyError, match=r"older than 2\.5.*Upgrade the brokers"):
        asyncio.run(check_kafka(load_settings(), cast("Brokers", OldBrokers())))
