"""The least rights of each command in Kafka, and a broker's entries that give a user exactly these."""

from __future__ import annotations

from typing import NamedTuple

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

INPUTS, OUTPUTS = ("tweets", "reviews"), ("sentiment.events", "sentiment.shifts", "sentiment.deadletters")
DEADLETTERS, SHADOW_TOPIC, COMPARISONS = OUTPUTS[2], "sentiment.shadow", "sentiment.comparisons"


class Right(NamedTuple):
    """One entry of Kafka's authorizer, and how the error calls it."""

    operation: ACLOperation
    kind: ResourceType
    name: str
    said: str
    is_prefix: bool = False


def read(topic: str) -> Right:
    return Right(ACLOperation.READ, ResourceType.TOPIC, topic, f"Read and Describe topic {topic}")


def write(topic: str) -> Right:
    return Right(ACLOperation.WRITE, ResourceType.TOPIC, topic, f"Write and Describe topic {topic}")


def look_at(topic: str) -> Right:
    return Right(ACLOperation.DESCRIBE, ResourceType.TOPIC, topic, f"Describe topic {topic}")


def on_group(operation: ACLOperation, said: str, group: str) -> Right:
    return Right(operation, ResourceType.GROUP, group, f"{said} group {group}")


WORKER = (
    *(read(topic) for topic in (*INPUTS, "sentiment.events", DEADLETTERS)),
    *(write(topic) for topic in OUTPUTS),
    on_group(ACLOperation.READ, "Read and Describe", "sentiment"),
    Right(
        ACLOperation.WRITE,
        ResourceType.TRANSACTIONAL_ID,
        "sentiment:",
        "Write and Describe transactional ids with the prefix sentiment:",
        is_prefix=True,
    ),
)
SHADOW = (
    *(read(topic) for topic in (*INPUTS, "sentiment.events", SHADOW_TOPIC)),
    write(SHADOW_TOPIC),
    write(COMPARISONS),
    on_group(ACLOperation.DESCRIBE, "Describe", "sentiment"),
    on_group(ACLOperation.READ, "Read and Describe", "sentiment.shadow.")._replace(
        said="Read and Describe group sentiment.shadow.ff", is_prefix=True
    ),
    Right(
        ACLOperation.WRITE,
        ResourceType.TRANSACTIONAL_ID,
        "sentiment.shadow.",
        "Write and Describe transactional ids with the prefix sentiment.shadow.ff:",
        is_prefix=True,
    ),
)
LIST = (read(DEADLETTERS), on_group(ACLOperation.DESCRIBE, "Describe", "sentiment-redrive"))
REDRIVE = (
    read(DEADLETTERS),
    *(write(topic) for topic in INPUTS),
    on_group(ACLOperation.READ, "Read and Describe", "sentiment-redrive"),
    Right(
        ACLOperation.WRITE,
        ResourceType.TRANSACTIONAL_ID,
        "sentiment-redrive",
        "Write and Describe transactional id sentiment-redrive",
    ),
)


def allow(kafka: SecureKafka, rights: tuple[Right, ...]) -> None:
    """ALICE has exactly these rights from here on."""
    anything = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
    with KafkaAdminClient(bootstrap_servers=kafka.stack.kafka) as admin:
        admin.delete_acls([ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ANY, anything)])
        if rights:
            admin.create_acls([_entry(right) for right in rights])


def _entry(right: Right) -> ACL:
    pattern = ACLResourcePatternType.PREFIXED if right.is_prefix else ACLResourcePatternType.LITERAL
    resource = ResourcePattern(right.kind, right.name, pattern)
    return ACL(f"User:{ALICE}", "*", right.operation, ACLPermissionType.ALLOW, resource)
