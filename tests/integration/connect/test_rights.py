"""What the preflight says of a user who lacks rights, on a real broker with Kafka's own authorizer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)

from tests.servers.certificates import ALICE
from tests.servers.secure_kafka import SecureKafka
from worker.errors import DependencyError
from worker.kafka.access.preflight import check_kafka
from worker.kafka.brokers import Brokers
from worker.settings import Settings, load_settings

GROUP = "rights"
DENIED = {
    f"Read and Describe group {GROUP}": (ACLOperation.READ, ResourceType.GROUP, GROUP),
    f"Write and Describe transactional ids with the prefix {GROUP}:": (
        *(ACLOperation.WRITE, ResourceType.TRANSACTIONAL_ID),
        f"{GROUP}:preflight",
    ),
    "Write and Describe topic sentiment.events": (ACLOperation.WRITE, ResourceType.TOPIC, "sentiment.events"),
    "Read and Describe topic tweets": (ACLOperation.READ, ResourceType.TOPIC, "tweets"),
}


@pytest.fixture
def settings(kafka: SecureKafka) -> Settings:
    return load_settings(**kafka.flags("PLAIN"), group=GROUP)


def preflight(settings: Settings) -> None:
    async def check() -> None:
        async with Brokers(settings) as brokers:
            await check_kafka(settings, brokers)

    asyncio.run(asyncio.wait_for(check(), 30))


@contextmanager
def denied(kafka: str) -> Iterator[None]:
    """Everything of DENIED is refused to ALICE."""
    entries = [
        ACL(
            *(f"User:{ALICE}", "*", operation, ACLPermissionType.DENY),
            ResourcePattern(kind, name, ACLResourcePatternType.LITERAL),
        )
        for operation, kind, name in DENIED.values()
    ]
    with KafkaAdminClient(bootstrap_servers=kafka) as admin:
        admin.create_acls(entries)
        try:
            yield
        finally:
            everything = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
            admin.delete_acls([ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ANY, everything)])


def test_every_right_that_is_missing_is_named_by_itself(kafka: SecureKafka, settings: Settings) -> None:
    preflight(settings)
    with denied(kafka.stack.kafka), pytest.raises(DependencyError) as raised:
        preflight(settings)
    for name in DENIED:
        assert name in str(raised.value)
    assert "topic reviews" not in str(raised.value)
    preflight(settings)
