"""A single broker with Kafka's own replication factors has no coordinator: the message says which to lower."""

from __future__ import annotations

import asyncio

import pytest

from worker.errors import DependencyError
from worker.kafka.access.preflight import check_kafka
from worker.kafka.brokers import Brokers
from worker.settings import load_settings
from worker.stack import LocalStack


def test_replication_factors_that_need_more_brokers_are_named() -> None:
    async def check(kafka: str) -> None:
        settings = load_settings(kafka=kafka, request_timeout_s=8)
        async with Brokers(settings) as brokers:
            await check_kafka(settings, brokers)

    defaults = {"transaction.state.log.replication.factor": "3", "offsets.topic.replication.factor": "3"}
    with LocalStack(kafka_options=defaults) as stack, pytest.raises(DependencyError, match=r"replication\.factor"):
        asyncio.run(check(stack.kafka))
