"""What the preflight says of a user who lacks rights, on a real broker with Kafka's own authorizer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ACLResourcePatternType, ResourcePattern, ResourceType

from worker.errors import DependencyError
from worker.kafka.access.preflight import check_kafka
from worker.kafka.brokers import Brokers
from worker.kafka.topics import ensure_topics
from worker.settings import Settings, load_settings
from worker.stack import LocalStack

GROUP = "rights"
# Whoever has no entry for a resource may do everything with it: the broker talks to itself as the same user.
AUTHORIZER = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}
DENIED = {
    f"Read and Describe group {GROUP}": (ACLOperation.READ, ResourceType.GROUP, GROUP),
    f"Write and Describe transactional ids with the prefix {GROUP}:": (
        *(ACLOperation.WRITE, ResourceType.TRANSACTIONAL_ID),
        f"{GROUP}:preflight",
    ),
    "Write and Describe topic sentiment.events": (ACLOperation.WRITE, ResourceType.TOPIC, "sentiment.events"),
    "Read and Describe topic tweets": (ACLOperation.READ, ResourceType.TOPIC, "tweets"),
}


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    with LocalStack(kafka_options=AUTHORIZER) as stack:
        settings = load_settings(kafka=stack.kafka, redis=stack.redis, group=GROUP)
        ensure_topics(settings)
        yield settings


def preflight(settings: Settings) -> None:
    async def check() -> None:
        async with Brokers(settings) as brokers:
            await check_kafka(settings, brokers)

    asyncio.run(asyncio.wait_for(check(), 30))


def deny(settings: Settings, operation: ACLOperation, kind: ResourceType, name: str) -> None:
    entry = ACL(
        *("User:ANONYMOUS", "*", operation, ACLPermissionType.DENY),
        ResourcePattern(kind, name, ACLResourcePatternType.LITERAL),
    )
    with KafkaAdminClient(bootstrap_servers=settings.kafka) as admin:
        admin.create_acls([entry])


def test_every_right_that_is_missing_is_named_by_itself(settings: Settings) -> None:
    preflight(settings)
    for denied in DENIED.values():
        deny(settings, *denied)

    with pytest.raises(DependencyError) as raised:
        preflight(settings)
    for name in DENIED:
        assert name in str(raised.value)
    assert "topic reviews" not in str(raised.value)
